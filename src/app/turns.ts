import { performance } from 'node:perf_hooks';

/** The loop is busy when of at least so long ... */
const BUSY_WINDOW_MS = 50;

/** ... this part was work. A process that only lost its core for a moment, or had one slow turn, was idle before. */
const BUSY_UTILIZATION = 0.7;

/** Requests wait at most so long for connections to be accepted before them. */
const ACCEPTING_MAX_MS = 10;

type Sample = { readonly at: number; readonly activeMs: number };

/**
 * Finds out which requests come late in their turn of the event loop. The first one of a turn notes the time, and whichever of
 * the same turn is reached late has waited for those before it: this part of the queue is known at once, without a sample of
 * what was before.
 *
 * The other part waits to be accepted, where nobody sees it, and of that queue libuv takes one connection a turn. So while
 * connections come in, requests are held, the loop turns quickly, and all that waited in front of the door make one turn.
 */
export class Turns {
  readonly #maxMs: number;
  #startedAt: number | undefined;
  #sample: Sample = sampleAt(0);
  #sampleBefore: Sample = this.#sample;
  /** Since when one connection has come after the other. */
  #acceptingSince: number | undefined;
  #hasAccepted = false;
  #held: ((isLate: boolean) => void)[] = [];

  readonly #end = () => {
    this.#startedAt = undefined;
  };

  readonly #endAccepting = () => {
    const now = performance.now();
    if (this.#hasAccepted && now - (this.#acceptingSince ?? now) < ACCEPTING_MAX_MS) {
      this.#hasAccepted = false;
      setImmediate(this.#endAccepting);
      return;
    }
    this.#acceptingSince = undefined;
    this.#hasAccepted = false;
    const held = this.#held;
    this.#held = [];
    this.#end();
    for (const begin of held) begin(this.#isLate(performance.now()));
    this.#end();
  };

  /** @param maxMs how old a turn may get before requests come late */
  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** A connection was accepted. */
  accepted(): void {
    this.#hasAccepted = true;
    if (this.#acceptingSince !== undefined) return;
    this.#acceptingSince = performance.now();
    setImmediate(this.#endAccepting);
  }

  /**
   * @param now on the clock of `performance.now()`
   * @param begin is told, now or soon, whether the request comes so late that it is better refused
   */
  enter(now: number, begin: (isLate: boolean) => void): void {
    if (this.#acceptingSince === undefined) begin(this.#isLate(now));
    else this.#held.push(begin);
  }

  #isLate(now: number): boolean {
    if (this.#startedAt !== undefined) return now - this.#startedAt > this.#maxMs && this.#isBusy(now);
    this.#startedAt = now;
    // After all that this turn found to read.
    setImmediate(this.#end);
    if (now - this.#sample.at >= BUSY_WINDOW_MS) {
      this.#sampleBefore = this.#sample;
      this.#sample = sampleAt(now);
    }
    return false;
  }

  #isBusy(now: number): boolean {
    const { at, activeMs } = now - this.#sample.at >= BUSY_WINDOW_MS ? this.#sample : this.#sampleBefore;
    return activeMsNow() - activeMs > (now - at) * BUSY_UTILIZATION;
  }
}

function sampleAt(at: number): Sample {
  return { at, activeMs: activeMsNow() };
}

function activeMsNow(): number {
  return performance.eventLoopUtilization().active;
}
