import { performance } from 'node:perf_hooks';

/** The loop is busy when of at least so long ... */
const BUSY_WINDOW_MS = 50;

/** ... this part was work. One that has a single slow turn was idle before. */
const BUSY_UTILIZATION = 0.7;

/**
 * Requests wait while connections are accepted, for so much CPU time of this thread at most: some five hundred connections. By the clock, a
 * process that has lost its core would accept one; by their number, requests would wait long where there are others to read in each turn.
 */
const ACCEPTING_MS = 50;

/**
 * No more wait than so many; the next ones begin at once. What waits writes no answer, so nothing keeps Node from reading on what a client
 * pipelines: megabytes of requests from a single connection.
 */
const HELD_MAX = 2000;

/**
 * A crowd that passes may wait longer: random arrivals come in crowds, and at nine tenths of the capacity one request in twenty would be
 * refused for it. It is no crowd any more where more than this part is refused.
 */
const CROWD_TURNS = 2.5;
const OVERLOAD_REFUSES = 0.15;

/** Over so many requests that part is averaged. */
const AVERAGED_OVER = 64;

/** Before a turn is late, this part of the time that it may take was its own work: a process that lost its core to others has not had much. */
const OWN_WORK = 0.5;

/** From this part of the time on that a turn may take, its own work is watched: it costs too much to do so in each. */
const WATCHED_FROM = 0.25;

/**
 * Refusing takes 0.02 ms, on a new connection 0.07. Of requests that take less CPU than so much on the average, a turn may become as many
 * times as long as they are cheaper: answering them takes hardly longer than sending them away.
 */
const CHEAP_MS = 1;

/**
 * After its first request a process is slow by itself until its code is compiled, which is no overload. That takes so much CPU time of this
 * thread at most: in a reload, of which many processes share the cores, some seconds.
 */
const WARMING_MS = 1000;

type Sample = { readonly at: number; readonly activeMs: number };

/** What times are read from. */
export type Clock = {
  /** On the clock of `performance.now()`. */
  readonly now: () => number;
  /** CPU time of this thread. */
  readonly cpuMs: () => number;
  /** So long the event loop has worked instead of waiting. */
  readonly activeMs: () => number;
};

const REAL: Clock = {
  now: () => performance.now(),
  cpuMs: () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  },
  activeMs: () => performance.eventLoopUtilization().active,
};

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
  readonly #onEnd: (ms: number, requests: number) => void;
  readonly #clock: Clock;
  #startedAt: number | undefined;
  /** Requests that were taken in this turn: those that are refused cost little. */
  #count = 0;
  /** Whoever comes in this turn after one that came late does so, too: asking for CPU time each time would cost a third of a refusal. */
  #isOver = false;
  /** The part of the last requests that came late. */
  #latePart = 0;
  /** CPU time of this thread at which it is warm; 0 before its first request. */
  #warmAt = 0;
  /** When the turn had become long: CPU time of this thread, and the requests so far. */
  #watched: { readonly cpuMs: number; readonly count: number } | undefined;
  #sample: Sample;
  #sampleBefore: Sample;
  /** CPU time of this thread up to which turns may follow in which one connection after the other comes; 0 while none does. */
  #acceptUntil = 0;
  #hasAccepted = false;
  #held: ((now: number) => void)[] = [];
  /** Of those that were held, how many are still to begin. */
  #beginning = 0;

  readonly #end = () => {
    if (this.#startedAt !== undefined) this.#onEnd(this.#clock.now() - this.#startedAt, this.#count);
    this.#startedAt = undefined;
    this.#isOver = false;
    this.#watched = undefined;
    this.#count = 0;
  };

  readonly #endAccepting = () => {
    const hasAccepted = this.#hasAccepted;
    this.#hasAccepted = false;
    if (hasAccepted && this.#clock.cpuMs() < this.#acceptUntil) {
      setImmediate(this.#endAccepting);
      return;
    }
    this.#acceptUntil = 0;
    const held = this.#held;
    this.#held = [];
    setImmediate(this.#end);
    this.#beginning += held.length;
    // One immediate each, between which answers are completed: all at once they would all be open at once.
    for (const begin of held) {
      setImmediate(() => {
        this.#beginning--;
        begin(this.#clock.now());
      });
    }
    setImmediate(this.#end);
  };

  /**
   * @param maxMs how old a turn may get, under overload, before requests come late
   * @param onEnd is told how old each has got, and how many requests were taken in it
   */
  constructor(maxMs: number, onEnd: (ms: number, requests: number) => void, clock = REAL) {
    this.#onEnd = onEnd;
    this.#maxMs = maxMs;
    this.#clock = clock;
    this.#sample = { at: 0, activeMs: clock.activeMs() };
    this.#sampleBefore = this.#sample;
  }

  /** A connection was accepted. */
  accepted(): void {
    this.#hasAccepted = true;
    if (this.#acceptUntil > 0) return;
    this.#acceptUntil = this.#clock.cpuMs() + ACCEPTING_MS;
    setImmediate(this.#endAccepting);
  }

  /** Whether connections are being accepted, for which a request is to wait. */
  get isAccepting(): boolean {
    return this.#acceptUntil > 0 && this.#held.length < HELD_MAX;
  }

  /** Whether any request may wait for that, or is just about to begin. */
  get isHolding(): boolean {
    return this.#acceptUntil > 0 || this.#beginning > 0;
  }

  /** @param begin is called when they have been accepted, with the time on the clock of `performance.now()` */
  afterAccepting(begin: (now: number) => void): void {
    this.#held.push(begin);
  }

  /**
   * @param now on the clock of `performance.now()`
   * @returns whether a request comes so late that it is better refused
   */
  isLate(now: number): boolean {
    const isLate = this.#comesLate(now);
    this.#latePart += (Number(isLate) - this.#latePart) / AVERAGED_OVER;
    if (!isLate) this.#count++;
    return isLate;
  }

  #comesLate(now: number): boolean {
    if (this.#startedAt === undefined) {
      this.#begin(now);
      return false;
    }
    if (this.#isOver) return true;
    const ageMs = now - this.#startedAt;
    if (ageMs < this.#maxMs * WATCHED_FROM) return false;
    this.#watched ??= { cpuMs: this.#clock.cpuMs(), count: this.#count };
    if (ageMs < this.#maxMs) return false;
    const cpuNow = this.#clock.cpuMs();
    const cpuMs = cpuNow - this.#watched.cpuMs;
    const cheaper = (CHEAP_MS * (this.#count - this.#watched.count)) / cpuMs;
    const maxMs = this.#maxMs * Math.max(this.#latePart > OVERLOAD_REFUSES ? 1 : CROWD_TURNS, cheaper);
    this.#isOver = ageMs >= maxMs && cpuMs > maxMs * OWN_WORK && cpuNow > this.#warmAt && this.#isBusy(now);
    return this.#isOver;
  }

  #begin(now: number): void {
    this.#startedAt = now;
    if (this.#warmAt === 0) this.#warmAt = this.#clock.cpuMs() + WARMING_MS;
    // After all that this turn found to read.
    setImmediate(this.#end);
    if (now - this.#sample.at >= BUSY_WINDOW_MS) {
      this.#sampleBefore = this.#sample;
      this.#sample = { at: now, activeMs: this.#clock.activeMs() };
    }
  }

  #isBusy(now: number): boolean {
    const { at, activeMs } = now - this.#sample.at >= BUSY_WINDOW_MS ? this.#sample : this.#sampleBefore;
    return this.#clock.activeMs() - activeMs > (now - at) * BUSY_UTILIZATION;
  }
}
