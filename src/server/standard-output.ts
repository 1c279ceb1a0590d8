import { writeSync } from 'node:fs';
import type { DestinationStream } from 'pino';

const STDOUT = 1;

/** A reader of the log that is just slow gets so long, then lines are dropped: it is not to stop the service. */
const SLOW_READER_MS = 50;

const clock = new Int32Array(new SharedArrayBuffer(4));

/**
 * Standard output for log lines. Each is written before `write` returns, so that none is lost with the process. Where that
 * fails, because the disk is full or nobody reads, the service goes on without its log, says so on standard error, and
 * counts the lines that are missing; the log itself tells their number as soon as it can be written again.
 */
export class StandardOutput implements DestinationStream {
  #dropped = 0;
  /** A line that was cut short must be ended before the next one. */
  #isMidLine = false;

  write(line: string): void {
    neverBlock();
    try {
      if (this.#isMidLine) this.#writeAll('\n', 0);
      if (this.#dropped > 0) this.#writeAll(missingLines(this.#dropped), 0);
      this.#dropped = 0;
      this.#writeAll(line, SLOW_READER_MS);
    } catch (error) {
      if (this.#dropped++ === 0) {
        const { code } = error as NodeJS.ErrnoException;
        console.error(`The log cannot be written (${code}): the service goes on without it until it can.`);
      }
    }
  }

  #writeAll(text: string, patienceMs: number): void {
    let rest = Buffer.from(text);
    const until = performance.now() + patienceMs;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(STDOUT, rest));
        this.#isMidLine = rest.length > 0;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() >= until) throw error;
        Atomics.wait(clock, 0, 0, 1);
      }
    }
  }
}

/**
 * Processes that inherit their standard output share its flags with those that passed it on, and a process that starts or exits
 * makes it block again: for all of them, and for good where the reader has stopped.
 */
function neverBlock(): void {
  const { _handle: handle }: { _handle?: { setBlocking?: (isBlocking: boolean) => void } } = process.stdout as object;
  handle?.setBlocking?.(false);
}

function missingLines(dropped: number): string {
  return `${JSON.stringify({ level: 'error', time: Date.now(), pid: process.pid, dropped, msg: 'log lines are missing here' })}\n`;
}
