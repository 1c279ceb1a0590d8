import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import type { RequestSpan } from '../tracing/request-span.ts';
import { traceIds } from './trace-context.ts';

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** All that pino's loggers have, for plugins use more of it than Fastify declares. */
const METHODS = [
  ...LEVELS,
  ...['child', 'bindings', 'setBindings', 'isLevelEnabled', 'flush'],
  ...['on', 'once', 'off', 'addListener', 'removeListener'],
] as const;
const PROPERTIES = ['level', 'levels', 'levelVal', 'msgPrefix', 'onChild', 'version'] as const;

/** A logger whose methods and properties are made below, all alike. */
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
}

for (const name of METHODS) {
  Object.defineProperty(Deferred.prototype, name, {
    value(this: Deferred, ...given: unknown[]) {
      return Reflect.apply(Reflect.get(this.made, name), this.made, given);
    },
  });
}

for (const name of PROPERTIES) {
  Object.defineProperty(Deferred.prototype, name, {
    get(this: Deferred) {
      return Reflect.get(this.made, name);
    },
    set(this: Deferred, value: unknown) {
      Reflect.set(this.made, name, value);
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
