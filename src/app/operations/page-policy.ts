import { createHash } from 'node:crypto';

/**
 * The Content-Security-Policy of a page: no other style than the one in it, no forms, and it is in nobody's frame.
 *
 * @see https://www.w3.org/TR/CSP3/
 *
 * @param isLive whether it has scripts, which come from the service and may ask it; else it is all there is, and nothing is loaded
 */
export function pagePolicy(style: string, isLive: boolean): string {
  const directives = [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    ...(isLive ? ["script-src 'self'", "connect-src 'self'"] : []),
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return directives.join('; ');
}
