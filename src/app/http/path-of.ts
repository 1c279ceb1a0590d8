/**
 * The path of what a client asks for: without query, fragment and parameters (`;jsessionid=…`), and without the user and password that an
 * absolute URL may have, or what looks like one.
 */
export function pathOf(url: string): string {
  return url
    .replace(/[?#;].*$/s, '')
    .replace(/^[a-z]+:\/\/[^/]*/i, '')
    .replace(/^\/\/[^/]*@/, '//');
}
