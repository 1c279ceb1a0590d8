import { mergeExpositions } from '../metrics/exposition.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { Registry } from '../metrics/prom-client.ts';
import type { Plugin } from '../types.ts';
import type { ServiceMetrics } from './service-metrics.ts';
import type { SupervisorState } from './supervisor-state.ts';

/** Asks the other processes of the service; `missing` are those that are there and did not answer. */
export type AskSiblings = (question: 'metrics') => Promise<{ answers: readonly string[]; missing: number }>;

export type MetricsOptions = {
  /** Of this process. */
  readonly metrics: Metrics;
  readonly service: ServiceMetrics;
  readonly supervisor: () => SupervisorState | undefined;
  readonly askSiblings: AskSiblings;
};

const telling = {
  summary: "Metrics of all processes, in Prometheus' text format",
  response: { 200: { description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } } },
} as const;

/** `/metrics` in Prometheus' text format: whichever process is asked, tells those of all. */
export const metricsRoute: Plugin<MetricsOptions> = (app, { metrics, service, supervisor, askSiblings }, done) => {
  const collect = async () => {
    const [own, { answers, missing }] = await Promise.all([metrics.text(), askSiblings('metrics')]);
    // The supervisor knows of those, too, that nobody finds.
    const unseen = Math.max(missing, (supervisor()?.ready ?? 0) - 1 - answers.length);
    if (unseen > 0) app.log.debug({ missing: unseen }, 'metrics: not all processes have answered');
    return mergeExpositions([await service.text(unseen), own, ...answers]);
  };
  /** Who asks meanwhile gets the same, so that many who ask cost no more than one. */
  let collecting: Promise<string> | undefined;

  app.get('/metrics', { config: { isOperation: true }, schema: telling }, async (_request, reply) => {
    collecting ??= collect().finally(() => {
      collecting = undefined;
    });
    const text = await collecting;
    return reply.type(Registry.PROMETHEUS_CONTENT_TYPE).header('cache-control', 'no-store').send(text);
  });
  done();
};
