import type { XStatic } from 'typebox/schema';
import { STATUS_CODES } from '../../node-http.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

const MISTAKE_SCHEMA = {
  type: 'object',
  description: 'One thing that is wrong with the request, and where.',
  additionalProperties: false,
  required: ['in', 'pointer', 'detail'],
  properties: {
    in: { enum: ['query', 'path', 'headers', 'body'] },
    pointer: { type: 'string', description: 'A JSON Pointer (RFC 6901) into that part of the request.' },
    line: {
      type: 'integer',
      minimum: 1,
      description: 'If that part has one document per line: which of them.',
    },
    detail: { type: 'string' },
  },
} as const;

export const PROBLEM_SCHEMA = {
  type: 'object',
  description: 'Problem Details for HTTP APIs, RFC 9457.',
  additionalProperties: false,
  required: ['type', 'title', 'status', 'code', 'detail', 'instance'],
  properties: {
    type: { const: 'about:blank' },
    title: { type: 'string', description: 'The meaning of the status.' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    code: { type: 'string', description: 'For programs: it does not change. The detail is for people.' },
    detail: { type: 'string' },
    instance: { type: 'string', description: 'The id of the request, as in the log and in x-request-id.' },
    errors: { type: 'array', items: MISTAKE_SCHEMA },
  },
} as const;

export type Mistake = Readonly<XStatic<typeof MISTAKE_SCHEMA>>;

/** Problem Details for HTTP APIs, RFC 9457. */
export type Problem = Readonly<Omit<XStatic<typeof PROBLEM_SCHEMA>, 'errors'>> & {
  readonly errors?: readonly Mistake[];
};

/** For the `response` of a route's schema: an error of its own, beside those that any route may answer. */
export function problemOf(description: string) {
  return { $ref: '#/components/responses/Problem', description } as const;
}

export function problem(
  status: number,
  code: string,
  detail: string,
  instance: string,
  errors?: readonly Mistake[],
): Problem {
  const title = STATUS_CODES[status] ?? 'Error';
  return { type: 'about:blank', title, status, code, detail, instance, ...(errors && { errors }) };
}
