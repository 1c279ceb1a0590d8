// Two routes that can be overloaded, for Mainstay: preloaded with NODE_OPTIONS=--import; Fastify publishes each new instance on
// the channel below.
import { subscribe } from 'node:diagnostics_channel';
import { burn, usePool } from './work.js';

subscribe('fastify.initialization', (message) => {
  const { fastify } = /** @type {{ fastify: import('fastify').FastifyInstance }} */ (message);
  // As a plugin, so that it comes after what the service itself registers for all its routes.
  fastify.register(async (app) => {
    app.get('/burn', () => burn());
    app.get('/pool', () => usePool());
  });
});
