/**
 * How long a drain waits, in milliseconds: for load balancers to notice (`delayMs`), and from then on for idle connections to
 * bring a last request (`idleMs`) and for everything (`timeoutMs`). It can be shortened while it runs out.
 */
export class Patience {
  readonly #startedAt = performance.now();
  // Each from the start.
  #acceptMs: number;
  #idleMs: number;
  #allMs: number;

  constructor(delayMs: number, idleMs: number, timeoutMs: number) {
    this.#acceptMs = delayMs;
    this.#idleMs = delayMs + idleMs;
    this.#allMs = delayMs + timeoutMs;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  /** How long it goes on accepting. */
  get acceptingMs(): number {
    return Math.max(0, this.#acceptMs - this.elapsedMs);
  }

  get isOverForIdle(): boolean {
    return this.elapsedMs >= this.#idleMs;
  }

  get remainingMs(): number {
    return Math.max(0, this.#allMs - this.elapsedMs);
  }

  /** From now on no longer than this. */
  shorten(delayMs: number, idleMs: number, timeoutMs: number): void {
    this.#acceptMs = Math.min(this.#acceptMs, this.elapsedMs + delayMs);
    const settlingFrom = Math.max(this.#acceptMs, this.elapsedMs);
    this.#idleMs = Math.min(this.#idleMs, settlingFrom + idleMs);
    this.#allMs = Math.min(this.#allMs, settlingFrom + timeoutMs);
  }
}
