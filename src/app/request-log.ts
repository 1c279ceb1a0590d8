import type { FastifyBaseLogger } from 'fastify';

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** A logger but for its levels' methods, which are all alike and made below. */
class Deferred {
  readonly #parent: FastifyBaseLogger;
  readonly #requestId: string;
  #child: FastifyBaseLogger | undefined;

  constructor(parent: FastifyBaseLogger, requestId: string) {
    this.#parent = parent;
    this.#requestId = requestId;
  }

  get made(): FastifyBaseLogger {
    this.#child ??= this.#parent.child({ requestId: this.#requestId });
    return this.#child;
  }

  get level(): string {
    return this.made.level;
  }

  set level(level: string) {
    this.made.level = level;
  }

  child(...given: Parameters<FastifyBaseLogger['child']>): FastifyBaseLogger {
    return this.made.child(...given);
  }
}

for (const level of LEVELS) {
  Object.defineProperty(Deferred.prototype, level, {
    value(this: Deferred, ...given: unknown[]) {
      Reflect.apply(this.made[level], this.made, given);
    },
  });
}

/** The log of one request, with its id in each line; made when it is first used, for most requests never use theirs. */
export function requestLog(log: FastifyBaseLogger, requestId: string): FastifyBaseLogger {
  return new Deferred(log, requestId) as unknown as FastifyBaseLogger;
}
