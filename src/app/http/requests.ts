import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/settings.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { ConcurrencyLimit } from '../overload/concurrency-limit.ts';
import type { RequestSpan } from '../tracing/request-span.ts';
import type { RequestSpans } from '../tracing/request-spans.ts';
import { lingerUnlessRead } from './lingering-close.ts';
import { pathOf } from './path-of.ts';
import { REQUEST_ID_HEADER } from './request-id.ts';
import { requestLog } from './request-log.ts';
import { traceIds } from './trace-context.ts';

/** A request whose answer is not complete yet. */
export type OpenRequest = {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly startedAt: number;
  /** Of an answer that goes on until somebody has had enough: when it began. */
  lastsSince: number | undefined;
  /** Where it is traced. */
  readonly span: RequestSpan | undefined;
  /** What went wrong while it was answered; it goes into the request's log line. */
  failure: Error | undefined;
  /** Its body turned out to be malformed, or did not arrive in time: what the client was told, and why. */
  refusal: BodyRefusal | undefined;
  /** It counts against this until it ends. */
  limit: ConcurrencyLimit | undefined;
  /** Since when it does: its body may have taken long to arrive. */
  limitedSince: number;
  /** What the handler of such a request returned, which goes on when the client leaves. */
  work: unknown;
  /** Where it is in the list of those that are open. */
  index: number;
};

/** `reason` is Node's code for what is wrong. */
type BodyRefusal = { readonly status: number; readonly reason: string | undefined };

type Logs = {
  readonly log: FastifyBaseLogger;
  /** For the line of each request that did not fail. */
  readonly requestLog: FastifyBaseLogger;
};

const OPEN = Symbol('open');

const SENT = Symbol('sent');

declare module 'node:http' {
  interface ServerResponse {
    [OPEN]?: OpenRequest | undefined;
  }
}

declare module 'node:net' {
  interface Socket {
    /** The bytes that all answers but the present one took. */
    [SENT]?: number;
    /** Those that came on it, in this order; several where they are pipelined. */
    [OPEN]?: OpenRequest[] | undefined;
  }
}

const UNMATCHED = '(unmatched)';

/** nginx's number for a client that left before its answer was complete. It is logged and counted, never sent. */
const CLIENT_LEFT = 499;

/** One that took longer is logged as a warning, also where requests are not logged. */
const SLOW_MS = 1000;

/** The levels at which requests are logged in any case: somebody is looking for something. */
const VERBOSE: ReadonlySet<string> = new Set(['debug', 'trace']);

/** So long after the drain has begun. */
const LASTING_ENDS_WITHIN_MS = 1000;

/**
 * Follows every request from its headers to the last byte of its answer, or to the client's leaving, and does all that
 * each one needs in two places, for hooks are what costs most on the hot path: the common headers at the beginning, the
 * log line and the measurement at the end.
 */
export class Requests {
  /** Not a Map: each time it grows or shrinks, what it was before keeps all requests of that time from being collected young. */
  readonly #open: OpenRequest[] = [];
  /** The answer on each connection that announces its end. */
  readonly #lastAnswer = new WeakMap<Socket, ServerResponse>();
  #answered = 0;
  #lasting = 0;
  readonly #config: Config;
  readonly #log: FastifyBaseLogger;
  readonly #requestLog: FastifyBaseLogger;
  readonly #lifecycle: Lifecycle;
  readonly #metrics: Metrics;
  readonly #onClose: (this: ServerResponse) => void;
  #spans: RequestSpans | undefined;

  constructor(config: Config, logs: Logs, lifecycle: Lifecycle, metrics: Metrics) {
    this.#config = config;
    this.#log = logs.log;
    this.#requestLog = logs.requestLog;
    this.#lifecycle = lifecycle;
    this.#metrics = metrics;
    const requests = this;
    // One function for all requests instead of a closure for each: the response is `this`.
    this.#onClose = function () {
      requests.#end(this);
    };
    metrics.watchInFlight(() => this.inFlight);
    lifecycle.on('change', (state) => {
      if (state !== 'draining') return;
      for (const open of this.#open.toSorted(byStart)) {
        this.#announceClose(open.request, open.reply);
        if (open.lastsSince !== undefined) endSoon(open.reply);
      }
    });
  }

  /** Those that are open now. */
  get open(): readonly OpenRequest[] {
    return this.#open;
  }

  /** How many are open now, without those whose answers last. */
  get inFlight(): number {
    return this.#open.length - this.#lasting;
  }

  /** What is known of a request that is open. */
  of(reply: FastifyReply): OpenRequest | undefined {
    return reply.raw[OPEN];
  }

  /** How many have been answered completely so far. */
  get answered(): number {
    return this.#answered;
  }

  /** Those that came on this connection and are open, in the order in which they came. */
  on(socket: Socket): OpenRequest[] {
    return [...(socket[OPEN] ?? [])];
  }

  /** Makes a span of each request from now on. */
  traceWith(spans: RequestSpans): void {
    this.#spans = spans;
  }

  /** @returns whether it may be carried out: not behind the last answer on its connection, for it would get none */
  begin(request: FastifyRequest, reply: FastifyReply): boolean {
    const response = reply.raw;
    const startedAt = performance.now();
    const span = this.#spans?.begin(request);
    request.log = reply.log = requestLog(this.#log, request, span);
    const open = {
      request,
      reply,
      startedAt,
      span,
      lastsSince: undefined,
      failure: undefined,
      refusal: undefined,
      limit: undefined,
      limitedSince: startedAt,
      work: undefined,
      index: this.#open.length,
    };
    this.#open.push(open);
    response[OPEN] = open;
    const { socket } = request.raw;
    if (socket[OPEN]) socket[OPEN].push(open);
    else socket[OPEN] = [open];
    // Also for a client that left, which Fastify's onResponse does not see.
    response.on('close', this.#onClose);
    reply.header(REQUEST_ID_HEADER, request.id);
    reply.header('x-content-type-options', 'nosniff');
    return this.#lifecycle.state !== 'draining' || this.#announceClose(request, reply);
  }

  /**
   * This answer begins now and goes on until somebody has had enough, such as a stream of events. Its time is measured up to here, and
   * it is complete whenever it ends: whoever makes it ends it when the process drains, or a second later it is ended.
   */
  lasts(reply: FastifyReply): void {
    const open = this.of(reply);
    if (open === undefined || open.lastsSince !== undefined) return;
    open.lastsSince = performance.now();
    this.#lasting++;
    if (this.#lifecycle.state === 'draining') endSoon(reply);
  }

  /**
   * Answers that only wait for their clients to read them count against this limit no longer: what the route does is done. They are
   * looked for when the limit is reached, for to see each answer's end would cost all requests something.
   *
   * @returns whether there were any
   */
  releaseAnswered(limit: ConcurrencyLimit): boolean {
    const answered = this.#open.filter((open) => open.limit === limit && open.reply.raw.writableEnded);
    for (const open of answered) {
      open.limit = undefined;
      limit.release();
    }
    return answered.length > 0;
  }

  failed(reply: FastifyReply, failure: Error): void {
    const open = this.of(reply);
    if (open) open.failure = failure;
  }

  /** It ends now, with its connection: its handler may wait for the rest of the body for as long as the client likes. */
  refused(open: OpenRequest, refusal: BodyRefusal): void {
    open.refusal = refusal;
    this.#end(open.reply.raw);
  }

  /**
   * Node then writes `Connection: close` and ends the connection after this answer; too late where its headers are out. Of
   * several pipelined requests only the last is to have it, or the others would get no answer.
   *
   * @returns whether this one will get an answer
   */
  #announceClose(request: FastifyRequest, reply: FastifyReply): boolean {
    if (reply.raw.headersSent) return true;
    const { socket } = request.raw;
    const earlier = this.#lastAnswer.get(socket);
    if (earlier?.headersSent) return false;
    if (earlier) earlier.shouldKeepAlive = true;
    reply.raw.shouldKeepAlive = false;
    this.#lastAnswer.set(socket, reply.raw);
    return true;
  }

  #end(response: ServerResponse): void {
    const open = response[OPEN];
    if (open === undefined) return;
    response[OPEN] = undefined;
    this.#remove(open);
    const { request, startedAt, span, lastsSince, failure, refusal } = open;
    if (lastsSince !== undefined) this.#lasting--;
    const isComplete = response.writableFinished || lastsSince !== undefined || isInjected(response);
    if (isComplete) {
      this.#answered++;
      lingerUnlessRead(response);
    }
    const sent = isComplete ? response.statusCode : (refusal?.status ?? CLIENT_LEFT);
    const now = lastsSince ?? performance.now();
    leaveLimit(open, isComplete, now);
    const ms = now - startedAt;
    // An answer that we broke off after its headers were out is a failure, whatever they said.
    const status = failure !== undefined && sent < 500 ? 500 : sent;
    const { url: template } = request.routeOptions;
    const route = template ?? UNMATCHED;
    this.#metrics.requestEnded(request.method, route, status, ms, sentSince(request.raw.socket));
    span?.end(template, response, isComplete, failure, refusal?.status);
    // Not by the request's own log, which most requests never make. Refusals are no failures, and of those there are many at a time.
    if (failure !== undefined || (status >= 500 && status !== 503))
      this.#log.error(lineOf(open, route, status, ms), 'request failed');
    else if (ms >= SLOW_MS) this.#requestLog.warn(lineOf(open, route, status, ms), 'slow request');
    else if (this.#config.requestLog) this.#requestLog.info(lineOf(open, route, status, ms), 'request');
    else if (VERBOSE.has(this.#requestLog.level)) this.#requestLog.debug(lineOf(open, route, status, ms), 'request');
  }

  #remove(open: OpenRequest): void {
    const { socket } = open.request.raw;
    const opened = socket[OPEN] ?? [];
    if (opened.length === 1) socket[OPEN] = undefined;
    // Nearly always the first one, which `shift` takes out of thousands without moving them.
    else if (opened[0] === open) opened.shift();
    else opened.splice(opened.indexOf(open), 1);
    // In the list of all, the last one takes its place.
    const { index } = open;
    const last = this.#open.pop();
    if (last === undefined || last.index === index) return;
    last.index = index;
    this.#open[index] = last;
  }
}

/** The order of the list is another one. */
function byStart(one: OpenRequest, other: OpenRequest): number {
  return one.startedAt - other.startedAt;
}

/** The client may not read what is to be the end. */
function endSoon(reply: FastifyReply): void {
  setTimeout(() => reply.raw.destroy(), LASTING_ENDS_WITHIN_MS).unref();
}

function leaveLimit({ limit, limitedSince, work }: OpenRequest, isComplete: boolean, now: number): void {
  if (!isComplete && work instanceof Promise) limit?.leaveAfter(work, limitedSince);
  else limit?.leave(limitedSince, now);
}

/** The bytes that went out since this was last asked. Those that tests inject have none. */
function sentSince(socket: Socket): number {
  const { bytesWritten = 0 } = socket;
  const sent = bytesWritten - (socket[SENT] ?? 0);
  socket[SENT] = bytesWritten;
  return sent;
}

/** Of those that tests inject, the answer is complete when it ends, whatever its stand-in for a socket says. */
function isInjected(response: ServerResponse): boolean {
  return !(response.req.socket instanceof Socket) && response.writableEnded;
}

function lineOf({ request, span, failure, refusal }: OpenRequest, route: string, status: number, ms: number) {
  return {
    requestId: request.id,
    ...(span?.ids ?? traceIds(request.raw.headers)),
    method: request.method,
    route,
    // The query may carry secrets, and a path that somebody answers names of people: neither goes into the log.
    path: status === 404 && route === UNMATCHED ? pathOf(request.url).slice(0, 200) : undefined,
    status,
    reason: refusal?.reason,
    ms: Math.round(ms * 100) / 100,
    err: failure,
  };
}
