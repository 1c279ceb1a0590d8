/** Where it begins: more than most routes ever have open in one process, and few enough to find out soon what is too many. */
const FIRST = 64;
const LEAST = 4;
const MOST = 1000;

/** So much more or less is tried at a time, or twice as much. */
const STEP = 1.2;

/** Over so many requests at least, or as many as are open at once, latency is averaged. */
const SAMPLE = 100;

/** If so many clients have left, and as many as requests are done, these wait for longer than clients do. */
const IMPATIENT = 10;

/** Whoever never finishes for a client that has left does not keep its place for ever. */
const LEFT_BEHIND_MAX_MS = 30_000;

/**
 * How many requests of a route are worked on at once, so that those that wait for something else, a database's connections, do
 * not queue without end where nobody sees it.
 *
 * While more are wanted than may, the limit climbs to where throughput is highest for its latency: their quotient, the power of
 * a queue (L. Kleinrock, "Power and deterministic rules of thumb for probabilistic problems in computer communications", ICC
 * 1979), has its top where all servers are busy and nobody waits. Throughput counts a little more here, to the power of 1.5: where
 * answers take a varying time, some have to wait lest servers do. It changes by a step, looks whether that was better, and
 * goes on or turns back; it needs to know neither how many servers there are nor how long an answer takes, and follows when
 * either changes. Little's law gives the throughput: as many as are open, by their latency. Where more clients leave than are
 * answered, it is halved without waiting for answers that nobody gets.
 */
export class ConcurrencyLimit {
  #limit = FIRST;
  #open = 0;
  /** When it was reached, since it was last changed: what begins from then on, is measured. */
  #reachedAt = Number.POSITIVE_INFINITY;
  #measured = 0;
  #latencyMs = 0;
  /** Of those that are to be measured, how many have lost their client. */
  #abandoned = 0;
  #power = 0;
  /** In steps. It begins with large ones, and turns upwards with one, so that it spends less time below the top than above. */
  #stride = -2;

  get limit(): number {
    return Math.ceil(this.#limit);
  }

  /**
   * @param now on the clock of `performance.now()`, as always here
   * @returns whether one more may begin; it has to `leave` then
   */
  enter(now: number): boolean {
    if (this.#open >= this.#limit) {
      this.#reachedAt = Math.min(this.#reachedAt, now);
      return false;
    }
    this.#open++;
    return true;
  }

  /** @param enteredAt when it did so */
  leave(enteredAt: number, now: number): void {
    this.#open--;
    if (enteredAt < this.#reachedAt) return;
    this.#measured++;
    this.#latencyMs += now - enteredAt;
    if (this.#measured >= Math.max(SAMPLE, this.#limit)) this.#climb(this.#latencyMs / this.#measured);
  }

  /**
   * Its client has left, which does not stop what it waits for: it counts until that is done, or all of them would queue there.
   *
   * @param work what it does
   */
  async leaveAfter(work: Promise<unknown>, enteredAt: number): Promise<void> {
    this.abandoned(enteredAt);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LEFT_BEHIND_MAX_MS).unref();
    work.finally(resolve).catch(() => {});
    await promise;
    clearTimeout(timer);
    this.leave(enteredAt, performance.now());
  }

  /** The client of one that is still open has left. */
  abandoned(enteredAt: number): void {
    if (enteredAt < this.#reachedAt) return;
    this.#abandoned++;
    if (this.#abandoned < Math.max(IMPATIENT, this.#measured)) return;
    this.#power = 0;
    this.#stride = -2;
    this.#change(0.5);
  }

  /** One does not count any more, and says nothing of how long the route takes. */
  release(): void {
    this.#open--;
  }

  #climb(latencyMs: number): void {
    const throughput = this.limit / latencyMs;
    const power = throughput ** 1.5 / latencyMs;
    if (power < this.#power) this.#stride = this.#stride < 0 ? 2 : -1;
    else if (this.#stride === 2) this.#stride = 1;
    this.#power = power;
    this.#change(STEP ** this.#stride);
  }

  #change(factor: number): void {
    this.#limit = Math.min(MOST, Math.max(LEAST, this.#limit * factor));
    this.#reachedAt = Number.POSITIVE_INFINITY;
    this.#measured = 0;
    this.#abandoned = 0;
    this.#latencyMs = 0;
  }
}
