import { lookup } from 'node:dns/promises';
import { buildApp } from '../app/app.ts';
import { createLogger } from '../app/log.ts';
import type { Config } from '../config/settings.ts';
import { Connections } from './connections.ts';
import { arrangeEnd } from './end.ts';
import { logDestination } from './log-destination.ts';

export type ServeOptions = {
  /** The signals that end the process; a supervised worker leaves the terminal's Ctrl-C to its supervisor. */
  readonly signals?: readonly NodeJS.Signals[];
  /** Which of several processes this is, for the log and `/health`. */
  readonly worker?: string;
};

/**
 * Serves until a signal comes, then drains and ends the process. Resolves when the service is ready, and tells the parent
 * process so with the word `ready`.
 *
 * @returns a function that ends it as a signal would
 * @throws when it cannot start or listen; the process is then to end
 */
export async function serve(config: Config, options: ServeOptions = {}): Promise<(signal: string) => void> {
  const { signals = ['SIGINT', 'SIGTERM', 'SIGQUIT'], worker = 'single' } = options;
  const log = createLogger(config, worker, await logDestination());
  const app = buildApp(config, { log, worker });
  const connections = new Connections(app.server, function* () {
    for (const { request } of app.requests.open.values()) yield request.raw.socket;
  });
  const end = arrangeEnd(app, connections, config);

  for (const signal of signals) process.on(signal, end);
  process.on('SIGHUP', () => log.info('SIGHUP: nothing to reload in a single process'));

  const { address } = await lookup(config.host);
  try {
    await app.listen({ host: address, port: config.port });
  } catch (error) {
    throw explained(error, config);
  }
  if (app.lifecycle.state === 'starting') {
    app.lifecycle.advance('ready');
    log.info({ ...Object(app.server.address()), startedMs: Math.round(performance.now()) }, 'ready');
    process.send?.('ready');
  }
  return end;
}

/** What to do about the ways in which listening fails. */
function explained(error: unknown, { host, port }: Config): unknown {
  const advice: Record<string, string> = {
    EADDRINUSE: 'the port is taken: stop what listens there, or set PORT to another one',
    EACCES: 'ports below 1024 need a privilege: set PORT to a higher one, or grant CAP_NET_BIND_SERVICE',
    EADDRNOTAVAIL: 'this machine has no such address: set HOST to one that it has, or to 0.0.0.0',
    ENOTFOUND: 'this name has no address: set HOST to an address of this machine',
  };
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const told = advice[code];
  return told ? new Error(`Cannot listen on ${host}:${port} (${code}): ${told}.`) : error;
}
