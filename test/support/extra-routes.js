// Routes for tests of what the service does with every route: some take their time or fail, which its own do not, and its
// own may be deleted in a fork. Preloaded into real processes with NODE_OPTIONS=--import; Fastify publishes each new
// instance on the channel below.
import { subscribe } from 'node:diagnostics_channel';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** @type {number[]} */
const taken = [];

/** @type {Buffer[]} */
const held = [];

/** @param {import('fastify').FastifyInstance} app */
export async function extraRoutes(app) {
  // What plugins of a fork may do, on demand.
  if (process.env.START_TAKES_MS) await sleep(Number(process.env.START_TAKES_MS));
  if (process.env.LEAVES_TIMER) setInterval(() => {}, 1000);
  if (process.env.CLOSE_FAILS) {
    app.addHook('onClose', async () => {
      throw new Error('the plugin cannot close');
    });
  }

  app.get('/greet', () => 'Hello World !!!');
  app.get('/greet/:name', (request) => `Hello ${/** @type {{ name: string }} */ (request.params).name}!!!`);
  app.post('/echo', (request) => request.body);
  app.get(
    '/count',
    {
      schema: {
        querystring: { type: 'object', required: ['number'], properties: { number: { type: 'integer', minimum: 0 } } },
      },
    },
    (request) => String(/** @type {{ number: number }} */ (request.query).number),
  );
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
  /** Keeps the loop from turning for `ms`. */
  app.get('/block', (request) => {
    for (const until = performance.now() + msOf(request); performance.now() < until; );
    return 'done';
  });
  app.get('/exhaust-memory', () => {
    for (const kept = []; ; ) kept.push(new Array(100_000).fill(kept.length));
  });
  /** So many MB that are resident from then on. */
  app.get('/hold-memory', (request) => {
    held.push(Buffer.alloc(Number(/** @type {{ mb: string }} */ (request.query).mb) * 1024 * 1024, 1));
    return 'held';
  });
  /** Opens files until it may open no more. */
  app.get('/take-descriptors', () => {
    try {
      for (;;) taken.push(openSync('/dev/null', 'r'));
    } catch (error) {
      return String(error);
    }
  });
  app.get('/give-descriptors-back', () => {
    for (const descriptor of taken.splice(0)) closeSync(descriptor);
    return 'given back';
  });
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
}

/** @param {import('fastify').FastifyRequest} request */
function msOf(request) {
  return Number(/** @type {{ ms?: string }} */ (request.query).ms ?? 0);
}

if (process.env.NODE_OPTIONS?.includes('extra-routes')) {
  subscribe('fastify.initialization', (message) => {
    const { fastify } = /** @type {{ fastify: import('fastify').FastifyInstance }} */ (message);
    fastify.register(extraRoutes);
  });
}
