/** Those of RFC 9110, and PATCH. A client may send any other, and names of spans and series are to be few. */
const METHODS: ReadonlySet<string> = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'TRACE',
]);

/** What the others are called together. @see https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ */
export const OTHER_METHOD = '_OTHER';

export function isKnown(method: string): boolean {
  return METHODS.has(method);
}
