import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DestinationStream } from 'pino';

/**
 * Readable lines on a terminal, where the development dependency for it is installed; otherwise none, which is pino's
 * own way to standard output: plain JSON, written before the call returns, and seen by PM2.
 */
export async function logDestination(): Promise<DestinationStream | undefined> {
  if (!process.stdout.isTTY) return undefined;
  try {
    const { PinoPretty } = await import('pino-pretty');
    return PinoPretty({ sync: true, ignore: 'pid', singleLine: true });
  } catch {
    return undefined;
  }
}

/** PM2 replaces standard output by a stream of its own that writes later: this waits for its last line, but not for ever. */
export async function flushLog(): Promise<void> {
  const { stdout } = process;
  if (!stdout.writable) return;
  const written = new Promise((resolve) => stdout.write('', resolve));
  await Promise.race([written, once(stdout, 'error'), sleep(250, undefined, { ref: false })]);
}
