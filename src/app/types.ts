import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyPluginCallback,
  FastifyPluginOptions,
  FastifyTypeProvider,
  RawServerDefault,
} from 'fastify';
import type { XStatic } from 'typebox/schema';
import type { RequestBody } from './operations/api-reference/openapi.ts';

declare module 'fastify' {
  /** What a route tells of itself beside what validates. */
  interface FastifySchema {
    readonly summary?: string;
    readonly description?: string;
    /** Where it is listed in the reference; operations are by themselves. */
    readonly tags?: readonly string[];
    /** Whether the reference leaves it out. */
    readonly hide?: boolean;
    /** A body that the route reads by itself: with `body` Fastify would validate it. */
    readonly requestBody?: RequestBody;
  }
}

/**
 * Types `request.query`, `request.params`, `request.body` and what is answered from the JSON Schema literals of the route. Errors
 * are thrown, so that those in its `response` (problem.ts) are none that a handler returns.
 */
interface JsonSchemaTypes extends FastifyTypeProvider {
  validator: XStatic<this['schema']>;
  serializer: this['schema'] extends { $ref: string } ? never : XStatic<this['schema']>;
}

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  JsonSchemaTypes
>;

/** A Fastify plugin whose routes are typed by their schemas. */
export type Plugin<Options extends FastifyPluginOptions = Record<never, never>> = FastifyPluginCallback<
  Options,
  RawServerDefault,
  JsonSchemaTypes
>;
