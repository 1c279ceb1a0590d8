import type { FastifyError, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify';
import { REQUEST_ID_HEADER } from '../http/request-id.ts';
import type { Requests } from '../http/requests.ts';
import type { JsonSchema } from '../operations/api-reference/openapi.ts';
import type { App } from '../types.ts';
import { Busy } from './busy.ts';
import { type Mistake, PROBLEM_TYPE, type Problem, problem } from './problem.ts';
import { Refusal } from './refusal.ts';
import { toError } from './to-error.ts';

/** Fastify's errors about a request, in words that stay when Fastify's change, and that repeat nothing of it. */
const FRAMEWORK_ERRORS: Record<string, readonly [code: string, detail: string]> = {
  FST_ERR_BAD_URL: ['PATH_MALFORMED', 'The path is not percent-encoded UTF-8.'],
  FST_ERR_MAX_PARAM_LENGTH: ['PATH_TOO_LONG', 'A part of the path is too long.'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['BODY_TOO_LARGE', 'The body is larger than this service accepts.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['MEDIA_TYPE_UNSUPPORTED', 'The content-type of the body is not supported.'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['BODY_MALFORMED', 'The body is not valid JSON.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['BODY_MALFORMED', 'The body is empty, which is not valid JSON.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['BODY_MALFORMED', 'The body is not as long as content-length says.'],
};

const REQUIRED = 'is required';

const NAME_MAX_CHARACTERS = 100;

type Failure = FastifySchemaValidationError;

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
  const status = statusOf(error);
  if (error instanceof Busy) {
    reply.header('retry-after', retryAfter(error.retryAfterSeconds));
  } else if (status >= 500) requests.failed(reply, toError(error));
  const { code, detail, mistakes } = explain(error, status);
  const body = problem(status, code, detail + exampleFor(mistakes, request), request.id, mistakes);
  if (status === 500) sendPlain(reply, body);
  else reply.code(status).type(PROBLEM_TYPE).send(JSON.stringify(body));
}

/** The code that a client is told for an error; none of them is made of what the client sent. */
export function codeOf(error: unknown): string {
  return explain(error, statusOf(error)).code;
}

type Explanation = { code: string; detail: string; mistakes?: readonly Mistake[] };

function explain(error: unknown, status: number): Explanation {
  const { code = 'ERROR', message, validation, validationContext = 'body' }: Partial<FastifyError> = toError(error);
  if (validation) {
    const part = PARTS[validationContext] ?? 'body';
    const mistakes = validation.map((failure) => mistakeOf(failure, part));
    return { code: 'VALIDATION_FAILED', detail: mistakes.map(inWords).join('; '), mistakes };
  }
  if (error instanceof Refusal && error.mistakes) {
    return { code, detail: error.mistakes.map(inWords).join('; '), mistakes: error.mistakes };
  }
  const [known, detail] = FRAMEWORK_ERRORS[code] ?? [code, message ?? ''];
  if (status < 500 || error instanceof Busy) return { code: known, detail };
  return {
    code: status === 500 ? 'INTERNAL_ERROR' : known,
    detail: 'The service could not answer this request. Quote the instance when you report it.',
  };
}

/** Where something is missing in the query, as in what somebody sees who opens the route in a browser: a request that would do. */
function exampleFor(mistakes: readonly Mistake[] | undefined, { routeOptions }: FastifyRequest): string {
  const missing = mistakes?.find((mistake) => mistake.in === 'query' && mistake.detail === REQUIRED);
  if (missing === undefined) return '';
  const name = missing.pointer.slice(1);
  const { properties = {} } = (routeOptions.schema?.querystring ?? {}) as JsonSchema;
  const [example] = properties[name]?.examples ?? [];
  return example === undefined ? '' : `, as in ${routeOptions.url}?${name}=${example}; /docs describes every route`;
}

function mistakeOf({ keyword, instancePath, params, message = 'is wrong' }: Failure, part: Mistake['in']): Mistake {
  switch (keyword) {
    case 'required':
      return { in: part, pointer: `${instancePath}/${params.missingProperty}`, detail: REQUIRED };
    case 'additionalProperties':
      return { in: part, pointer: `${instancePath}/${token(params.additionalProperty)}`, detail: 'is not known here' };
    default:
      return { in: part, pointer: instancePath, detail: message };
  }
}

/** A name as JSON Pointers have it. What the client sent is not repeated at any length. */
function token(name: unknown): string {
  return String(name).slice(0, NAME_MAX_CHARACTERS).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1');
}

function inWords(mistake: Mistake): string {
  const line = mistake.line === undefined ? '' : ` line ${mistake.line} `;
  return `${mistake.in}${line}${mistake.pointer} ${mistake.detail}`.replace('  ', ' ');
}

/** Past everything that may be what failed: the headers that the handler set, and the hooks that see each answer. */
function sendPlain(reply: FastifyReply, body: Problem): void {
  reply.hijack();
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  for (const name of reply.raw.getHeaderNames()) reply.raw.removeHeader(name);
  const text = JSON.stringify(body);
  reply.raw.writeHead(body.status, {
    'content-type': PROBLEM_TYPE,
    'content-length': Buffer.byteLength(text),
    'x-content-type-options': 'nosniff',
    [REQUEST_ID_HEADER]: body.instance,
  });
  reply.raw.end(text);
}

/** Spread over whole seconds, or all that were refused together come back together. */
function retryAfter(seconds: number): number {
  return seconds + Math.floor(Math.random() * (2 * seconds + 1));
}

/** The status that an error carries, if it is one of an error. */
function statusOf(error: unknown): number {
  if (!(error instanceof Error)) return 500;
  const { statusCode, status } = error as { statusCode?: unknown; status?: unknown };
  const declared = statusCode ?? status;
  return typeof declared === 'number' && Number.isInteger(declared) && declared >= 400 && declared <= 599
    ? declared
    : 500;
}
