import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import { context, type TextMapPropagator, type TextMapSetter } from '@opentelemetry/api';

/** The part of undici's request that is its own for this purpose. */
type UndiciRequest = {
  /** Names and values in turn. */
  readonly headers: readonly unknown[];
  addHeader(name: string, value: string): void;
};

const intoUndici: TextMapSetter<UndiciRequest> = { set: (request, name, value) => request.addHeader(name, value) };

const intoNode: TextMapSetter<ClientRequest> = { set: (request, name, value) => request.setHeader(name, value) };

/**
 * Has requests that are made while a span is active tell the receiver which, in `traceparent` and `tracestate`: by fetch and undici, and by
 * node:http and node:https. All of them announce what they are about to send; nothing of theirs is replaced. A header that the
 * caller has set stays.
 *
 * @see https://nodejs.org/api/diagnostics_channel.html#http
 * @see https://github.com/nodejs/undici/blob/main/docs/docs/api/DiagnosticsChannel.md
 */
export function tellReceivers(propagator: TextMapPropagator): void {
  const tell = <Request>(request: Request, isTold: (request: Request) => boolean, setter: TextMapSetter<Request>) => {
    try {
      if (!isTold(request)) propagator.inject(context.active(), request, setter);
    } catch {
      // Of node:http, headers that were given as a list are written already. No request is to fail for this.
    }
  };
  subscribe('undici:request:create', (message) => {
    tell((message as { request: UndiciRequest }).request, isInUndici, intoUndici);
  });
  subscribe('http.client.request.created', (message) => {
    tell((message as { request: ClientRequest }).request, isInNode, intoNode);
  });
}

function isInUndici({ headers }: UndiciRequest): boolean {
  return headers.some((header) => String(header).toLowerCase() === 'traceparent');
}

function isInNode(request: ClientRequest): boolean {
  return request.hasHeader('traceparent');
}
