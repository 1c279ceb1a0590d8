// Fastify with what services in production usually add: load shedding, metrics, and where LOG is true, its request log.
import underPressure from '@fastify/under-pressure';
import Fastify from 'fastify';
import { collectDefaultMetrics, Histogram, register } from 'prom-client';

const app = Fastify({ logger: process.env.LOG === 'true' });
app.register(underPressure, { maxEventLoopDelay: 1000 });
collectDefaultMetrics();
const durations = new Histogram({
  name: 'http_request_duration_seconds',
  help: 'Duration of requests',
  labelNames: ['method', 'route', 'status'],
});
app.addHook('onResponse', (request, reply, done) => {
  const { method, routeOptions } = request;
  durations.observe({ method, route: routeOptions.url, status: reply.statusCode }, reply.elapsedTime / 1000);
  done();
});
app.get('/metrics', async (_request, reply) => reply.type(register.contentType).send(await register.metrics()));
app.get('/hello/:name', (request) => `Hello ${request.params.name}!!!`);
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
process.send?.('ready');
