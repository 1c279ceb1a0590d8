// Fastify with @fastify/under-pressure as its documentation shows it, in the mode that looks at the last second only.
import underPressure from '@fastify/under-pressure';
import Fastify from 'fastify';

const app = Fastify();
app.register(underPressure, {
  maxEventLoopDelay: 100,
  maxEventLoopUtilization: 0.98,
  eventLoopUtilizationMode: 'interval',
});
app.get('/hello/:name', (request) => `Hello ${request.params.name}!!!`);
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
