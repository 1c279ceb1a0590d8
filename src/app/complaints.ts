import type { FastifyBaseLogger } from 'fastify';

const INTERVAL_MS = 60_000;

/** Says what goes wrong again and again once a minute at most, and then how often it did so meanwhile. */
export class Complaints {
  readonly #log: FastifyBaseLogger;
  #saidAt = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  constructor(log: FastifyBaseLogger) {
    this.#log = log;
  }

  say(message: string, details: object = {}): void {
    if (performance.now() - this.#saidAt < INTERVAL_MS) {
      this.#suppressed++;
      return;
    }
    this.#log.warn({ ...details, suppressed: this.#suppressed }, message);
    this.#saidAt = performance.now();
    this.#suppressed = 0;
  }
}
