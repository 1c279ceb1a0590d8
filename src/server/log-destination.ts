import { setTimeout as sleep } from 'node:timers/promises';
import type { DestinationStream } from 'pino';
import { StandardOutput } from './standard-output.ts';

/** Where the log goes: readable lines on a terminal, where the development dependency for them is installed; else JSON. */
export async function logDestination(): Promise<DestinationStream> {
  const { stdout } = process;
  // PM2 puts its own function here; what goes past it does not reach its files.
  if (Object.hasOwn(stdout, 'write')) return stdout;
  if (stdout.isTTY) {
    try {
      const { PinoPretty } = await import('pino-pretty');
      return PinoPretty({ sync: true, ignore: 'pid', singleLine: true });
    } catch {
      // JSON, then.
    }
  }
  return new StandardOutput();
}

/** PM2's function writes later: this waits for its last line, but not for ever. Everything else is written already. */
export async function flushLog(): Promise<void> {
  const { stdout } = process;
  if (!Object.hasOwn(stdout, 'write')) return;
  await Promise.race([new Promise((resolve) => stdout.write('', resolve)), sleep(250, undefined, { ref: false })]);
}
