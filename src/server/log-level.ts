import type { Logger } from 'pino';

/** Switches the level of a running process to `debug`, and back to what LOG_LEVEL says. */
export class LogLevel {
  readonly #loggers: readonly Logger[];
  readonly #configured: string;
  #isDebug = false;

  constructor(loggers: readonly [Logger, ...Logger[]]) {
    this.#loggers = loggers;
    this.#configured = loggers[0].level;
  }

  get isDebug(): boolean {
    return this.#isDebug;
  }

  toggle(): void {
    this.set(!this.#isDebug);
  }

  set(isDebug: boolean): void {
    if (isDebug === this.#isDebug) return;
    this.#isDebug = isDebug;
    const level = isDebug && this.#configured !== 'trace' ? 'debug' : this.#configured;
    for (const logger of this.#loggers) logger.level = level;
    // Not `level`, which each line has already.
    this.#loggers[0]?.info({ now: level }, 'log level');
  }
}
