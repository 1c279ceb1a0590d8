import type { FastifyBaseLogger } from 'fastify';

/** Says what goes wrong again and again so often at most, and then how often it did so meanwhile; at the level `debug` each time. */
export class Complaints {
  readonly #log: FastifyBaseLogger;
  readonly #everyMs: number;
  #saidAt = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  constructor(log: FastifyBaseLogger, everyMs = 60_000) {
    this.#log = log;
    this.#everyMs = everyMs;
  }

  say(message: string, details: object = {}): void {
    if (performance.now() - this.#saidAt < this.#everyMs) {
      this.#suppressed++;
      this.#log.debug(details, message);
      return;
    }
    this.#log.warn({ ...details, suppressed: this.#suppressed }, message);
    this.#saidAt = performance.now();
    this.#suppressed = 0;
  }
}
