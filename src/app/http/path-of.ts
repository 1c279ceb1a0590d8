/** The path of what a client asks for: without query and fragment, and without the user and password that an absolute URL may have. */
export function pathOf(url: string): string {
  return url.replace(/[?#].*$/s, '').replace(/^[a-z]+:\/\/[^/]*/i, '');
}
