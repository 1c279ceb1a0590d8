import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import { traceIds } from './trace-context.ts';

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** A logger but for its levels' methods, which are all alike and made below. */
class Deferred {
  readonly #parent: FastifyBaseLogger;
  readonly #request: FastifyRequest;
  #child: FastifyBaseLogger | undefined;

  constructor(parent: FastifyBaseLogger, request: FastifyRequest) {
    this.#parent = parent;
    this.#request = request;
  }

  get made(): FastifyBaseLogger {
    this.#child ??= this.#parent.child({ requestId: this.#request.id, ...traceIds(this.#request.headers) });
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

/** The log of one request, with its ids in each line; made when it is first used, for most requests never use theirs. */
export function requestLog(log: FastifyBaseLogger, request: FastifyRequest): FastifyBaseLogger {
  return new Deferred(log, request) as unknown as FastifyBaseLogger;
}
