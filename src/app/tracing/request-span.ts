import type { ServerResponse } from 'node:http';
import { type Context, context, ROOT_CONTEXT, type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import type { TraceIds } from '../http/trace-context.ts';
import { nameOf } from './span-names.ts';

/** What `error.type` says of an answer that was not sent completely, where we know of no failure of ours: the client left, or the drain cut it. */
const ABORTED = 'aborted';

/** By what the span is found in a context. */
const SPAN_KEY = spanKey();

/**
 * The span of one request, and the context in which it is the active one. OpenTelemetry's own contexts have a Map each: with one for each request, the
 * requests were not collected young any more, which cost a tenth of the throughput.
 */
export class RequestSpan implements Context {
  readonly #span: Span;

  constructor(span: Span) {
    this.#span = span;
  }

  getValue(key: symbol): unknown {
    return key === SPAN_KEY ? this.#span : undefined;
  }

  setValue(key: symbol, value: unknown): Context {
    return trace.setSpan(ROOT_CONTEXT, this.#span).setValue(key, value);
  }

  deleteValue(key: symbol): Context {
    return key === SPAN_KEY ? ROOT_CONTEXT : this;
  }

  get ids(): TraceIds {
    const { traceId, spanId } = this.#span.spanContext();
    return { trace_id: traceId, span_id: spanId };
  }

  /** Goes on with this as the active span: what is asked of others, and spans that are begun meanwhile, belong to it. */
  within(goOn: () => void): void {
    if (context.active() === this) goOn();
    else context.with(this, goOn);
  }

  /**
   * @param route the template, where there is one. A handler may have found that nothing is there.
   * @param failure what went wrong, where that is known
   * @param refusal the status that the client was told past the response, because of its body
   */
  end(
    route: string | undefined,
    response: ServerResponse,
    isComplete: boolean,
    failure: Error | undefined,
    refusal: number | undefined,
  ): void {
    const span = this.#span;
    const status = response.headersSent ? response.statusCode : refusal;
    const isAborted = !isComplete && (response.headersSent || refusal === undefined);
    if (span.isRecording()) {
      if (route === undefined) span.updateName(nameOf(String(response.req.method), route));
      else span.setAttribute('http.route', route);
      if (status !== undefined) span.setAttribute('http.response.status_code', status);
      if (failure !== undefined || isAborted || response.statusCode >= 500) {
        span.setAttribute('error.type', errorTypeOf(response, isAborted, failure));
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
    }
    span.end();
  }
}

function errorTypeOf(response: ServerResponse, isAborted: boolean, failure: Error | undefined): string {
  if (failure !== undefined) {
    const { code = failure.name } = failure as NodeJS.ErrnoException;
    return String(code);
  }
  return isAborted ? ABORTED : String(response.statusCode);
}

/** OpenTelemetry does not tell it, but asks for it. */
function spanKey(): symbol | undefined {
  let asked: symbol | undefined;
  const probe: Context = {
    getValue(key) {
      asked = key;
      return undefined;
    },
    setValue: () => probe,
    deleteValue: () => probe,
  };
  trace.getSpan(probe);
  return asked;
}
