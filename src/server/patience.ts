/** How long a drain waits, from now on: for idle connections to bring a last request, and for everything. */
export class Patience {
  readonly #startedAt = performance.now();
  #idleMs: number;
  #timeoutMs: number;

  constructor(idleMs: number, timeoutMs: number) {
    this.#idleMs = idleMs;
    this.#timeoutMs = timeoutMs;
  }

  get isOverForIdle(): boolean {
    return this.#elapsedMs >= this.#idleMs;
  }

  get remainingMs(): number {
    return Math.max(0, this.#timeoutMs - this.#elapsedMs);
  }

  /** From now on no longer than this. */
  shorten(idleMs: number, timeoutMs: number): void {
    this.#idleMs = Math.min(this.#idleMs, this.#elapsedMs + idleMs);
    this.#timeoutMs = Math.min(this.#timeoutMs, this.#elapsedMs + timeoutMs);
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }
}
