import { writeSync } from 'node:fs';
import type { DestinationStream } from 'pino';

const STDOUT = 1;
const END_OF_LINE = 0x0a;

/** A reader of the log that is just slow gets so long in any second, then lines are dropped: it is not to stop the service. */
const SLOW_READER_MS = 50;
const WINDOW_MS = 1000;

/** Standard error may have the same reader. */
const TOLD_EVERY_MS = 10_000;

const clock = new Int32Array(new SharedArrayBuffer(4));

/**
 * Standard output for log lines. They are written before `write` returns, so that none is lost with the process. Where that
 * fails, because the disk is full or nobody reads, the service goes on without its log, says so on standard error, and
 * counts the lines that are missing; the log itself tells their number as soon as it can be written again.
 */
export class StandardOutput implements DestinationStream {
  #dropped = 0;
  /** A line that was cut short must be ended before the next one. */
  #isMidLine = false;
  #windowAt = 0;
  /** In this window. */
  #waitedMs = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** @param lines one or several, each with its end */
  write(lines: string): void {
    neverBlock();
    const before = (this.#isMidLine ? '\n' : '') + (this.#dropped > 0 ? missingLines(this.#dropped) : '');
    if (before !== '') {
      if (this.#put(Buffer.from(before), false).rest.length === 0) this.#dropped = 0;
      else {
        this.#dropped += ends(lines);
        return;
      }
    }
    const { rest, code } = this.#put(Buffer.from(lines), true);
    this.#dropped = ends(rest);
    if (this.#dropped > 0 && performance.now() - this.#toldAt > TOLD_EVERY_MS) {
      this.#toldAt = performance.now();
      console.error(`The log cannot be written (${code}): the service goes on without it until it can.`);
    }
  }

  /** Writes what can be written, and tells what could not, and why. */
  #put(bytes: Buffer, mayWait: boolean): { rest: Buffer; code?: string | undefined } {
    let rest = bytes;
    while (rest.length > 0) {
      try {
        const written = writeSync(STDOUT, rest);
        this.#isMidLine = rest[written - 1] !== END_OF_LINE;
        rest = rest.subarray(written);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EAGAIN' || !mayWait || !this.#waitBriefly()) return { rest, code };
      }
    }
    return { rest };
  }

  /** @returns whether there was time for it */
  #waitBriefly(): boolean {
    const now = performance.now();
    if (now - this.#windowAt > WINDOW_MS) {
      this.#windowAt = now;
      this.#waitedMs = 0;
    }
    if (this.#waitedMs >= SLOW_READER_MS) return false;
    Atomics.wait(clock, 0, 0, 1);
    this.#waitedMs += performance.now() - now;
    return true;
  }
}

function ends(lines: string | Buffer): number {
  let count = 0;
  for (let end = lines.indexOf('\n'); end >= 0; end = lines.indexOf('\n', end + 1)) count++;
  return count;
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
