import Fastify from 'fastify';

/** What every service of the comparison answers, in plain Fastify. */
export function create() {
  const app = Fastify();
  app.get('/hello/:name', (request) => `Hello ${request.params.name}!!!`);
  app.get('/greet/:name', (request) => `Hello ${request.params.name}!!!`);
  app.post('/echo', (request) => request.body);
  return app;
}
