import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import type { RequestSpan } from '../tracing/request-span.ts';
import { traceIds } from './trace-context.ts';

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** A logger but for its levels' methods, which are all alike and made below. */
class Deferred {
  readonly #parent: FastifyBaseLogger;
  readonly #request: FastifyRequest;
  readonly #span: RequestSpan | undefined;
  #child: FastifyBaseLogger | undefined;

  constructor(parent: FastifyBaseLogger, request: FastifyRequest, span: RequestSpan | undefined) {
    this.#parent = parent;
    this.#request = request;
    this.#span = span;
  }

  get made(): FastifyBaseLogger {
    if (this.#child === undefined) {
      const ids = this.#span?.ids ?? traceIds(this.#request.headers);
      this.#child = this.#parent.child({ requestId: this.#request.id, ...ids });
    }
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
export function requestLog(
  log: FastifyBaseLogger,
  request: FastifyRequest,
  span: RequestSpan | undefined,
): FastifyBaseLogger {
  return new Deferred(log, request, span) as unknown as FastifyBaseLogger;
}
