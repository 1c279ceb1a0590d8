import type { Metrics } from '../metrics.ts';
import type { Plugin } from '../types.ts';

/** `/metrics` in Prometheus' text format. */
export const metricsRoute: Plugin<{ metrics: Metrics }> = (app, { metrics }, done) => {
  app.get('/metrics', { config: { isOperation: true } }, async (_request, reply) => {
    const text = await metrics.text();
    return reply.type(metrics.registry.contentType).header('cache-control', 'no-store').send(text);
  });
  done();
};
