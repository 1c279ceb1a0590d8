import {
  defaultTextMapGetter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type TextMapPropagator,
  type Tracer,
} from '@opentelemetry/api';
import type { FastifyRequest } from 'fastify';
import { isKnown } from '../http/methods.ts';
import { pathOf } from '../http/path-of.ts';
import { RequestSpan } from './request-span.ts';
import { nameOf } from './span-names.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether its requests make spans; those of operations make none, unless they say so. */
    isTraced?: boolean;
  }
}

/**
 * Makes the spans of requests, named and described as OpenTelemetry's conventions have it.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server
 */
export class RequestSpans {
  readonly #tracer: Tracer;
  readonly #propagator: TextMapPropagator;

  constructor(tracer: Tracer, propagator: TextMapPropagator) {
    this.#tracer = tracer;
    this.#propagator = propagator;
  }

  /** @returns nothing for routes that are not traced */
  begin(request: FastifyRequest): RequestSpan | undefined {
    const { url: route, config } = request.routeOptions;
    const { isOperation = false, isTraced = !isOperation } = config;
    if (!isTraced) return undefined;
    const caller = this.#propagator.extract(ROOT_CONTEXT, request.raw.headers, defaultTextMapGetter);
    const span = this.#tracer.startSpan(nameOf(request.method, route), { kind: SpanKind.SERVER }, caller);
    // Now, for of a client that has left nothing is known any more; and after the sampling, which looks at none of it.
    if (span.isRecording()) describe(span, request);
    return new RequestSpan(span);
  }
}

/** Without the query, which may carry secrets. Addresses and names are those that TRUST_PROXY makes of the headers. */
function describe(span: Span, request: FastifyRequest): void {
  const { method, hostname, port, ip, raw } = request;
  const { 'user-agent': userAgent } = raw.headers;
  if (isKnown(method)) {
    span.setAttribute('http.request.method', method);
  } else {
    span.setAttribute('http.request.method', '_OTHER');
    span.setAttribute('http.request.method_original', method);
  }
  span.setAttribute('url.path', pathOf(request.url));
  span.setAttribute('url.scheme', request.protocol);
  if (hostname !== '') span.setAttribute('server.address', hostname);
  if (port !== null) span.setAttribute('server.port', port);
  if (ip !== undefined) span.setAttribute('client.address', ip);
  span.setAttribute('network.protocol.version', raw.httpVersion);
  if (userAgent !== undefined) span.setAttribute('user_agent.original', userAgent);
}
