import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
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

/** Waits for the lines of this turn; and for what PM2's function writes later, but not for ever. */
export async function flushLog(): Promise<void> {
  await turn();
  const { stdout } = process;
  if (!Object.hasOwn(stdout, 'write')) return;
  await Promise.race([new Promise((resolve) => stdout.write('', resolve)), sleep(250, undefined, { ref: false })]);
}
