// Preloaded into a service that is measured: GET /loop-delay tells how late its event loop was since it was asked last.
import { subscribe } from 'node:diagnostics_channel';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 5;

subscribe('fastify.initialization', (message) => {
  const { fastify } = /** @type {{ fastify: import('fastify').FastifyInstance }} */ (message);
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  fastify.get('/loop-delay', () => {
    // A timer that fires when it should has a delay of its interval.
    const p99Ms = Math.max(0, delays.percentile(99) / 1e6 - RESOLUTION_MS);
    delays.reset();
    return { pid: process.pid, p99Ms };
  });
});
