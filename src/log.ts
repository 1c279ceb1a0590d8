import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import type { Config } from './config/settings.ts';

const SECRET_HEADERS = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'x-auth-token',
  'x-csrf-token',
];

/** Should somebody log headers. It costs lines that have none of these nothing. */
const REDACTED = SECRET_HEADERS.flatMap((name) => [`["${name}"]`, `headers["${name}"]`]);

/**
 * JSON lines, one an event, for machines to read: `level` in words, `time` in milliseconds since 1970.
 *
 * @param worker which process this is; in every line
 * @param destination standard output where none is given
 */
export function createLogger(config: Config, worker: string, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level: config.logLevel,
    base: { pid: process.pid, worker },
    formatters: { level: (label) => ({ level: label }) },
    serializers: {
      err: describeError,
      req: describeRequest,
      request: describeRequest,
      res: describeResponse,
      reply: describeResponse,
    },
    redact: REDACTED,
  };
  return destination ? pino(options, destination) : pino(options);
}

/** Neither headers nor query, nor the path: where it is not the route, it may name people. */
function describeRequest(request: unknown): object {
  const { id, method, routeOptions } = Object(request);
  return { id, method, route: routeOptions?.url };
}

function describeResponse(response: unknown): object {
  return { status: Object(response).statusCode };
}

const CAUSES_MAX = 5;

/**
 * What helps to find an error. Not the other properties that libraries hang on theirs: whole requests, with their headers.
 */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  return {
    type: error.name,
    code,
    message: error.message,
    stack: error.stack,
    ...(error.cause instanceof Error && depth < CAUSES_MAX && { cause: describeError(error.cause, depth + 1) }),
  };
}
