/** Those of RFC 9110, and PATCH. A client may send any other, and names of spans are to be few. */
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

export function isKnown(method: string): boolean {
  return METHODS.has(method);
}

/** The template, not the path, of which there are as many as clients like. */
export function nameOf(method: string, route: string | undefined): string {
  const known = isKnown(method) ? method : 'HTTP';
  return route === undefined ? known : `${known} ${route}`;
}
