import { type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import type { Requests } from './requests.ts';

/** Fastify tells of an answer's stream that failed half-way only here. */
export class FailedStreams extends LogController {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    // The line a request is Requests' to write; Fastify's two cost twice.
    super({ disableRequestLogging: true, requestIdLogLabel: 'requestId' });
    this.#requests = requests;
  }

  override streamError(error: Error & { code?: string }, _request: FastifyRequest, reply: FastifyReply): void {
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') this.#requests.failed(reply, error);
  }
}
