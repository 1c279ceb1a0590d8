// Preloaded into real processes with NODE_OPTIONS=--import: routes that take their time or fail, which the service itself
// has none of. Fastify publishes each new instance on this channel.
import { subscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';

subscribe('fastify.initialization', (message) => {
  const { fastify } = /** @type {{ fastify: import('fastify').FastifyInstance }} */ (message);
  fastify.register(async (app) => {
    // What plugins of a fork may do, on demand.
    if (process.env.START_TAKES_MS) await sleep(Number(process.env.START_TAKES_MS));
    if (process.env.LEAVES_TIMER) setInterval(() => {}, 1000);
    if (process.env.CLOSE_FAILS) {
      app.addHook('onClose', async () => {
        throw new Error('the plugin cannot close');
      });
    }

    /** Answers after `ms`. */
    app.get('/slow', async (request) => {
      await sleep(msOf(request));
      return 'slow, but whole';
    });
    /** Sends its headers at once and its body after `ms`. */
    app.get('/trickle', (request, reply) => {
      reply.hijack();
      reply.raw.writeHead(200, { 'content-length': 10 });
      reply.raw.write('first');
      setTimeout(() => reply.raw.end('-last'), msOf(request));
    });
    app.get('/never', () => new Promise(() => {}));
    app.get('/throw-later', () => {
      setTimeout(() => {
        throw new Error('thrown outside of any request');
      });
      return 'thrown soon';
    });
    app.get('/reject-later', () => {
      Promise.reject(new Error('rejected outside of any request'));
      return 'rejected';
    });
    app.post('/echo', (request) => request.body);
  });
});

/** @param {import('fastify').FastifyRequest} request */
function msOf(request) {
  return Number(/** @type {{ ms?: string }} */ (request.query).ms ?? 0);
}
