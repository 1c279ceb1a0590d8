import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../../config/settings.ts';
import { STATUS_CODES } from '../../node-http.ts';
import { PROBLEM_TYPE, problem } from '../errors/problem.ts';
import type { MalformedStatus, Metrics } from '../metrics/metrics.ts';
import { isAnswered } from './lingering-close.ts';
import { REQUEST_ID_HEADER, requestId } from './request-id.ts';
import type { Requests } from './requests.ts';

/** How long a client may go on sending after it was told that it is refused. Closing at once would reset the connection, and the answer with it. */
const LINGER_MS = 1000;

/** Thousands that began together are late together, and to refuse them all at once would hold up everybody else. */
const REFUSING_MAX_MS = 2;

type Answer = { readonly status: MalformedStatus; readonly code: string; readonly detail: string };

const TOO_LATE: Answer = {
  status: 408,
  code: 'REQUEST_TIMEOUT',
  detail: 'The request did not arrive completely in time.',
};

const NO_PROXY: Answer = { status: 405, code: 'METHOD_NOT_ALLOWED', detail: 'This is no proxy: it does not CONNECT.' };

/**
 * Answers what never became a request: because the parser refused it, it did not arrive in time, or it asks for a tunnel. Fastify's
 * hooks and error handlers do not see these: there is nothing but a socket. Also a request of which the same is true of its body,
 * which is logged and counted as a request.
 */
export class SocketErrors {
  readonly #keepAliveTimeoutMs: number;
  readonly #log: FastifyBaseLogger;
  readonly #metrics: Metrics;
  readonly #requests: Requests;
  readonly #refused = new WeakSet<Socket>();
  readonly #late: Socket[] = [];

  constructor({ keepAliveTimeoutMs }: Config, log: FastifyBaseLogger, metrics: Metrics, requests: Requests) {
    this.#keepAliveTimeoutMs = keepAliveTimeoutMs;
    this.#log = log;
    this.#metrics = metrics;
    this.#requests = requests;
  }

  /** @see https://nodejs.org/api/http.html#event-clienterror */
  onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    // Browsers and pools open connections in advance, and whoever was told `Connection: close` may open the next one at once. One
    // that has not said a word is as idle as between two requests: closing it sooner would reset those whose first one is on its way.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) {
      socket.setTimeout(this.#keepAliveTimeoutMs);
      return;
    }
    // The client is gone, or it breaks off a request that has been refused: it has its answer, and its line in the log.
    if (error.code === 'ECONNRESET' || socket.bytesRead === 0 || !socket.writable || isAnswered(socket)) {
      this.#log.debug({ reason: error.code, requests: this.#requests.on(socket).length }, 'connection lost');
      if (!socket.writableEnded) socket.destroy();
      return;
    }
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
      if (this.#late.push(socket) === 1) setImmediate(this.#refuseLate);
    } else this.#refuse(socket, answerTo(error), error.code);
  }

  readonly #refuseLate = () => {
    const until = performance.now() + REFUSING_MAX_MS;
    do {
      const socket = this.#late.shift();
      if (socket === undefined) return;
      if (socket.writable) this.#refuse(socket, TOO_LATE, 'ERR_HTTP_REQUEST_TIMEOUT');
    } while (performance.now() < until);
    setImmediate(this.#refuseLate);
  };

  /**
   * Where nobody listened to it, Node would close the connection without a word, and throw away the answers to earlier requests.
   *
   * @see https://nodejs.org/api/http.html#event-connect
   */
  onConnect({ socket, method }: IncomingMessage): void {
    // Node has taken its listeners off the connection. Requests that came before this one still need what those did.
    socket.on('error', () => {});
    socket.on('drain', () => this.#requests.on(socket)[0]?.reply.raw.emit('drain'));
    socket.on('end', () => socket.destroySoon());
    socket.on('close', () => {
      for (const { request, reply } of this.#requests.on(socket)) {
        request.raw.destroy();
        reply.raw.destroy();
      }
    });
    socket.resume();
    this.#refuse(socket, NO_PROXY, method);
  }

  #refuse(socket: Socket, answer: Answer, reason: string | undefined): void {
    // The parser complains again about each further piece.
    if (this.#refused.has(socket)) return;
    this.#refused.add(socket);
    const open = this.#requests.on(socket);
    const refused = open.find(({ request }) => !request.raw.complete);
    const id = refused?.request.id ?? requestId({ headers: {} });
    const due = open.findLast(({ request }) => request.raw.complete)?.reply.raw;
    if (due !== undefined) {
      // Ours would be taken for one of those that are due, or for a part of it. The connection ends with the last of them.
      due.shouldKeepAlive = false;
      due.on('finish', () => socket.destroySoon());
    } else if (open.some(({ reply }) => reply.raw.headersSent)) {
      socket.destroy();
    } else {
      // Past the response, whose handler would wait for the rest of the body for ever.
      socket.end(rawAnswer(answer, id));
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    }
    if (refused !== undefined) {
      this.#requests.refused(refused, { status: answer.status, reason });
      return;
    }
    this.#metrics.requestMalformed(answer.status);
    this.#log.info({ requestId: id, status: answer.status, reason }, 'malformed request');
  }
}

function rawAnswer({ status, code, detail }: Answer, id: string): string {
  const body = JSON.stringify(problem(status, code, detail, id));
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Date: ${new Date().toUTCString()}`,
    `${REQUEST_ID_HEADER}: ${id}`,
    'X-Content-Type-Options: nosniff',
    // RFC 9110, 15.5.6: what is asked for a tunnel to answers no method.
    ...(status === 405 ? ['Allow: '] : []),
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

function answerTo({ code }: NodeJS.ErrnoException): Answer {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { status: 431, code: 'HEADERS_TOO_LARGE', detail: 'The request line and headers are too large.' };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { status: 413, code: 'CHUNK_EXTENSIONS_TOO_LARGE', detail: 'The chunk extensions are too large.' };
    default:
      return { status: 400, code: 'MALFORMED_REQUEST', detail: 'This is not a valid HTTP/1.1 request.' };
  }
}
