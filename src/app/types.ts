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

/** Types `request.query`, `request.params` and `request.body` from the JSON Schema literals of the route. */
interface JsonSchemaTypes extends FastifyTypeProvider {
  validator: XStatic<this['schema']>;
  serializer: XStatic<this['schema']>;
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
