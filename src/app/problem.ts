import { STATUS_CODES } from './node-http.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** One thing that is wrong with a request, and where: `pointer` is a JSON Pointer (RFC 6901) into that part of it. */
export type Mistake = {
  readonly in: 'query' | 'path' | 'headers' | 'body';
  readonly pointer: string;
  /** Where that part is many documents, one a line: in which of them. The first is 1. */
  readonly line?: number;
  readonly detail: string;
};

/** Problem Details for HTTP APIs, RFC 9457. */
export type Problem = {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  /** Stable and made for programs, where `detail` is made for people. */
  readonly code: string;
  readonly detail: string;
  /** The request id, as in the log and in `x-request-id`. */
  readonly instance: string;
  readonly errors?: readonly Mistake[];
};

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
