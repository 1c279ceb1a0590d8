import { Writable } from 'node:stream';
import { defaults } from '../../src/config/settings.ts';
import { createLogger } from '../../src/log.ts';

export type LogLine = Record<string, unknown> & { readonly msg?: string };

/** A logger as the service has it, whose lines are kept. */
export function keptLog() {
  const lines: LogLine[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  return { lines, log: createLogger(defaults, 'test', destination) };
}
