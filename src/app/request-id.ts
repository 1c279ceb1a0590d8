import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export const REQUEST_ID_HEADER = 'x-request-id';

/** What may stand in logs and headers as it is: no spaces, no quotes, no control characters, no novels. */
const SANE = /^[\w.:/+=@-]{1,128}$/;

/** The id that the client or a proxy sent, when it is sane; a new UUID otherwise. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const sent = request.headers[REQUEST_ID_HEADER];
  return typeof sent === 'string' && SANE.test(sent) ? sent : randomUUID();
}
