import type { IncomingHttpHeaders } from 'node:http';

/**
 * Version, trace, the caller's span, flags. All zeros are no id, there is no version ff, and only a later version than 00 may have more: so
 * OpenTelemetry reads it, too, and a request has the same ids in the log whether it is traced or not.
 */
const TRACEPARENT =
  /^(?:00(?=.{53}$)|(?!00|ff)[\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-[\da-f]{2}(-|$)/;

/** The names that logs have for what a request belongs to. */
export type TraceIds = { readonly trace_id?: string; readonly span_id?: string };

const NONE: TraceIds = {};

/**
 * The ids that a caller sent in `traceparent`: `span_id` is the caller's.
 *
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export function traceIds({ traceparent }: IncomingHttpHeaders): TraceIds {
  if (traceparent === undefined) return NONE;
  const [, trace_id, span_id] = TRACEPARENT.exec(String(traceparent)) ?? [];
  return trace_id === undefined || span_id === undefined ? NONE : { trace_id, span_id };
}
