import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../../config/settings.ts';
import { STATUS_CODES } from '../../node-http.ts';
import { PROBLEM_TYPE, problem } from '../errors/problem.ts';
import type { MalformedStatus, Metrics } from '../metrics/metrics.ts';
import { REQUEST_ID_HEADER, requestId } from './request-id.ts';

/** How long a client may go on sending after it was told that it is refused. Closing at once would reset the connection, and the answer with it. */
const LINGER_MS = 1000;

/**
 * Answers what never became a request, because the parser refused it or it did not arrive in time. Fastify's hooks and
 * error handlers do not see these: there is nothing but a socket.
 *
 * @see https://nodejs.org/api/http.html#event-clienterror
 */
export function answerSocketError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  { keepAliveTimeoutMs }: Config,
  log: FastifyBaseLogger,
  metrics: Metrics,
): void {
  // Browsers and pools open connections in advance, and whoever was told `Connection: close` may open the next one at once. One
  // that has not said a word is as idle as between two requests: closing it sooner would reset those whose first one is on its way.
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) {
    socket.setTimeout(keepAliveTimeoutMs);
    return;
  }
  // The client is gone, or has been answered before: the parser complains again about each further piece.
  if (error.code === 'ECONNRESET' || socket.bytesRead === 0 || !socket.writable) {
    if (!socket.writableEnded) socket.destroy();
    return;
  }
  const { status, code, detail } = refusalOf(error);
  const id = requestId({ headers: {} });
  metrics.requestMalformed(status);
  log.info({ requestId: id, status, reason: error.code }, 'malformed request');
  const open = openAnswer(socket);
  // One whose body is not complete has this error itself: its handler would wait for the rest for ever.
  if (open?.headersSent || open?.req.complete) {
    // Ours would be taken for it, or for a part of it. It is the last one on this connection.
    if (open.headersSent) socket.destroy();
    else open.shouldKeepAlive = false;
    return;
  }
  const body = JSON.stringify(problem(status, code, detail, id));
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      `Content-Type: ${PROBLEM_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      `Date: ${new Date().toUTCString()}`,
      `${REQUEST_ID_HEADER}: ${id}`,
      'X-Content-Type-Options: nosniff',
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

type Refusal = { status: MalformedStatus; code: string; detail: string };

function refusalOf({ code }: NodeJS.ErrnoException): Refusal {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { status: 431, code: 'HEADERS_TOO_LARGE', detail: 'The request line and headers are too large.' };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { status: 413, code: 'CHUNK_EXTENSIONS_TOO_LARGE', detail: 'The chunk extensions are too large.' };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, code: 'REQUEST_TIMEOUT', detail: 'The request did not arrive completely in time.' };
    default:
      return { status: 400, code: 'MALFORMED_REQUEST', detail: 'This is not a valid HTTP/1.1 request.' };
  }
}

/** The answer that is due on this connection. Node keeps it in an undocumented property, and looks there itself. */
function openAnswer(socket: Socket & { _httpMessage?: ServerResponse | null }): ServerResponse | undefined {
  return socket._httpMessage ?? undefined;
}
