import { isatty } from 'node:tty';

const STDOUT = 1;

/** Whether the terminal that this process writes to has been closed: then SIGHUP is not a request but the news of it. */
export function isTerminalGone(): boolean {
  // What it was at the start, and what the kernel says now.
  return process.stdout.isTTY === true && !isatty(STDOUT);
}
