import cluster from 'node:cluster';
import { create } from './app.js';

const schema = {
  body: {
    type: 'array',
    items: {
      type: 'object',
      required: ['type'],
      properties: {
        id: { type: 'string' },
        type: { type: 'string' },
        value: { type: 'number' },
        at: { type: 'string' },
      },
    },
  },
};

/**
 * Plain Fastify that takes events as lines of JSON, in WORKERS processes of node:cluster.
 *
 * @param {{ prepare?: () => Promise<void>, connect: () => Promise<(events: object[]) => Promise<unknown>> }} store
 *   what is to be done before the workers start; and, in each of them, what gives the function that keeps events
 */
export async function takeEvents({ prepare, connect }) {
  if (cluster.isPrimary) {
    await prepare?.();
    for (let worker = 0; worker < Number(process.env.WORKERS); worker++) cluster.fork();
    return;
  }
  const keep = await connect();
  const app = create();
  app.addContentTypeParser('application/x-ndjson', { parseAs: 'string' }, async (_request, body) =>
    body.split('\n').map((line) => JSON.parse(line)),
  );
  app.post('/events', { schema }, async (request, reply) => {
    await keep(request.body);
    reply.code(201);
    return { accepted: request.body.length };
  });
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
}
