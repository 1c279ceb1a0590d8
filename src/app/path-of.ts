/** The path of what a client asks for: without the query, and without the user and password that an absolute URL may have. */
export function pathOf(url: string): string {
  return url.replace(/^[a-z]+:\/\/[^/]*/i, '').replace(/\?.*$/s, '');
}
