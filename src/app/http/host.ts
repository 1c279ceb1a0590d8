import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { Refusal } from '../errors/refusal.ts';

/**
 * A name, which may be empty, an IPv4 address, or something in brackets; and a port. No two parts of it can begin alike, so that it
 * is linear.
 *
 * @see https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2
 */
const HOST = /^(?:\[(?:[\da-f:.]+|v[\da-f]+\.[\w.~!$&'()*+,;=:-]+)\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i;

/**
 * Why a request is to be refused for its Host (RFC 9112, 3.2), if it is. With two of them, or one that can be read in several ways,
 * this service and what is before it may not mean the same.
 */
export function hostRefusal({ rawHeaders, httpVersion }: IncomingMessage): Refusal | undefined {
  let host: string | undefined;
  // Not `headers`, which has the first of several.
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (!isHost(rawHeaders[at])) continue;
    if (host !== undefined) return new Refusal(400, 'HOST_INVALID', 'A request has one Host header, and no more.');
    host = rawHeaders[at + 1];
  }
  if (host === undefined) {
    if (httpVersion !== '1.1') return undefined;
    return new Refusal(400, 'HOST_MISSING', 'An HTTP/1.1 request needs a Host header.');
  }
  return isValid(host) ? undefined : new Refusal(400, 'HOST_INVALID', 'The Host header is not a host and a port.');
}

/** The lengths first: nearly all others are told by theirs, and nothing is made of them. */
function isHost(name: string | undefined): boolean {
  return name?.length === 4 && (name === 'Host' || name === 'host' || name.toLowerCase() === 'host');
}

function isValid(host: string): boolean {
  return HOST.test(host) && (host[0] !== '[' || isAddress(host.slice(1, host.indexOf(']'))));
}

/** @param text of what may be in brackets: what begins with a v is for addresses that are still to come */
function isAddress(text: string): boolean {
  return text[0] === 'v' || text[0] === 'V' || isIPv6(text);
}
