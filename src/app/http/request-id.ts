import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export const REQUEST_ID_HEADER = 'x-request-id';

/** What may stand in logs and headers as it is: no spaces, no quotes, no control characters, no novels. */
const SANE = /^[\w.:/+=@-]{1,128}$/;

/** 72 random bits that no other process has, and a number: as unique as a UUID each, for a third of what that costs. */
const PROCESS = randomBytes(9).toString('hex');
let count = 0;

/** The id that the client or a proxy sent, when it is sane; a new one otherwise. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const sent = request.headers[REQUEST_ID_HEADER];
  return typeof sent === 'string' && SANE.test(sent) ? sent : `${PROCESS}-${(++count).toString(36)}`;
}
