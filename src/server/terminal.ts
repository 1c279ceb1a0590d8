import { closeSync, openSync } from 'node:fs';

/** Whether the terminal that this process writes to has been closed: then SIGHUP is not a request but the news of it. */
export function isTerminalGone(): boolean {
  if (!process.stdout.isTTY) return false;
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return false;
  } catch {
    return true;
  }
}
