import { setTimeout as sleep } from 'node:timers/promises';
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
  summary: 'Metrics of all processes in Prometheus’ text format',
  response: { 200: { description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } } },
} as const;

/**
 * One begins no sooner after another: whoever asks without end costs less than a fifth of a core, with four workers. Waiting, unlike telling
 * once more what was collected before, never gives Prometheus old figures with a new time.
 */
const BETWEEN_MS = 100;

/** `/metrics` in Prometheus' text format: whichever process is asked, tells those of all. */
export const metricsRoute: Plugin<MetricsOptions> = (app, { metrics, service, supervisor, askSiblings }, done) => {
  let lastAt = Number.NEGATIVE_INFINITY;
  const collect = async () => {
    const waitMs = lastAt + BETWEEN_MS - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    lastAt = performance.now();
    // The others first: they collect while this one does.
    const [{ answers, missing }, own] = await Promise.all([askSiblings('metrics'), metrics.text()]);
    // The supervisor knows of those, too, that nobody finds.
    const unseen = Math.max(missing, (supervisor()?.ready ?? 0) - 1 - answers.length);
    if (unseen > 0) app.log.debug({ missing: unseen }, 'metrics: not all processes have answered');
    return mergeExpositions([await service.text(unseen), own, ...answers]);
  };
  /** Who asks meanwhile gets the same: many who ask at a time cost no more than one. */
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
