// Fastify with @fastify/under-pressure, in the mode that looks at the last second only. Its documentation shows a delay of 1000 ms;
// with that it lets more requests in that are answered too late.
import underPressure from '@fastify/under-pressure';
import Fastify from 'fastify';
import { burn, usePool } from './work.js';

const app = Fastify();
app.register(underPressure, {
  maxEventLoopDelay: 100,
  maxEventLoopUtilization: 0.98,
  eventLoopUtilizationMode: 'interval',
});
// A handler of its own that answers nothing: the request goes on as if there were no pressure.
app.get('/livez', { config: { pressureHandler: () => {} } }, () => 'ok');
app.get('/hello/:name', (request) => `Hello ${request.params.name}!!!`);
app.get('/burn', () => burn());
app.get('/pool', () => usePool());
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
