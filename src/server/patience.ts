/** Closing the idle connections is to begin so long before the end, whatever still arrives. */
const CLOSING_MS = 1500;

/**
 * How long a drain waits, in milliseconds: for load balancers to notice (`delayMs`), from then on until idle connections have
 * brought no request for `idleMs`, and for everything (`timeoutMs`). It can be shortened while it runs out.
 */
export class Patience {
  readonly #startedAt = performance.now();
  #idleMs: number;
  // Each from the start.
  #acceptUntilMs: number;
  #idleUntilMs: number;
  #allUntilMs: number;

  constructor(delayMs: number, idleMs: number, timeoutMs: number) {
    this.#idleMs = idleMs;
    this.#acceptUntilMs = delayMs;
    this.#idleUntilMs = delayMs + idleMs;
    this.#allUntilMs = delayMs + timeoutMs;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  /** How long it goes on accepting. */
  get acceptingMs(): number {
    return Math.max(0, this.#acceptUntilMs - this.elapsedMs);
  }

  get remainingMs(): number {
    return Math.max(0, this.#allUntilMs - this.elapsedMs);
  }

  /** @param quietMs how long ago the last request came: where some still come, more will */
  isOverForIdle(quietMs: number): boolean {
    if (this.elapsedMs < this.#idleUntilMs) return false;
    return quietMs >= this.#idleMs || this.remainingMs <= CLOSING_MS;
  }

  /** From now on no longer than this. */
  shorten(delayMs: number, idleMs: number, timeoutMs: number): void {
    this.#acceptUntilMs = Math.min(this.#acceptUntilMs, this.elapsedMs + delayMs);
    const settlingFrom = Math.max(this.#acceptUntilMs, this.elapsedMs);
    this.#idleMs = Math.min(this.#idleMs, idleMs);
    this.#idleUntilMs = Math.min(this.#idleUntilMs, settlingFrom + idleMs);
    this.#allUntilMs = Math.min(this.#allUntilMs, settlingFrom + timeoutMs);
  }
}
