import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type Mistake, PROBLEM_TYPE, problem } from '../problem.ts';
import type { Requests } from '../requests.ts';
import type { App } from '../types.ts';

/** Fastify's own sentences for these repeat the whole path, however long. */
const ROUTER_DETAILS: Record<string, string> = {
  FST_ERR_BAD_URL: 'The path is not percent-encoded UTF-8.',
  FST_ERR_MAX_PARAM_LENGTH: 'A part of the path is too long.',
};

const PARTS: Record<string, Mistake['in']> = { querystring: 'query', params: 'path', headers: 'headers', body: 'body' };

/** Every error that a handler, a hook or the validation raises is answered as a problem (RFC 9457). */
export function answerErrors(app: App, requests: Requests): void {
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, requests));
}

/**
 * Keeps the status of errors that carry one. Of a 4xx the message is told, for it is about the request; of anything
 * else nothing, for it may be about us: it goes into the log line of the request.
 */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply, requests: Requests): void {
  const { statusCode, code, message, validation, validationContext } = toFastifyError(error);
  const status = statusCode !== undefined && statusCode >= 400 && statusCode <= 599 ? statusCode : 500;
  if (status >= 500)
    requests.failed(reply, error instanceof Error ? error : new Error(`not an error: ${String(error)}`));
  const mistakes = validation?.map(
    ({ instancePath, keyword, message: said = 'is wrong', params }): Mistake => ({
      in: PARTS[validationContext ?? 'body'] ?? 'body',
      pointer: keyword === 'required' ? `${instancePath}/${params.missingProperty}` : instancePath,
      detail: keyword === 'required' ? 'is required' : said,
    }),
  );
  const detail = mistakes
    ? mistakes.map((mistake) => `${mistake.in}${mistake.pointer} ${mistake.detail}`).join('; ')
    : status < 500
      ? (ROUTER_DETAILS[code] ?? message)
      : 'The service could not answer this request. Quote the instance when you report it.';
  const body = problem(status, status === 500 ? 'INTERNAL_ERROR' : code, detail, request.id, mistakes);
  reply.code(status).type(PROBLEM_TYPE).send(JSON.stringify(body));
}

/** RFC 9110, 7.2. */
export function hostMissing(): Error {
  return Object.assign(new Error('An HTTP/1.1 request needs a Host header.'), {
    statusCode: 400,
    code: 'HOST_MISSING',
  });
}

/** People throw all sorts of things. */
function toFastifyError(error: unknown): Partial<FastifyError> & { code: string; message: string } {
  const raised: Partial<FastifyError> = error instanceof Error ? error : {};
  const code = raised.validation ? 'VALIDATION_FAILED' : (raised.code ?? 'ERROR');
  return {
    code,
    message: raised.message ?? '',
    ...(raised.statusCode !== undefined && { statusCode: raised.statusCode }),
    ...(raised.validation && { validation: raised.validation }),
    ...(raised.validationContext && { validationContext: raised.validationContext }),
  };
}
