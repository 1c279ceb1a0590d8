import type { Check, Checks } from '../checks.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Plugin } from '../types.ts';
import { healthy, live, ready } from './health-schemas.ts';
import type { SupervisorState } from './supervisor-state.ts';

export type HealthOptions = {
  readonly lifecycle: Lifecycle;
  readonly checks: Checks;
  readonly version: string;
  readonly worker: string;
  readonly supervisor: () => SupervisorState | undefined;
};

/**
 * - `/livez`: the process turns. It looks at nothing else: a restart mends no dependency.
 * - `/readyz`: send requests here; 503 while the process starts or drains, or something that it needs is not there. Where another
 *   process has replaced it, whoever asks on a kept connection is told of the service and not of this process.
 * - `/health`: the same for people, with what is known about this process.
 */
export const health: Plugin<HealthOptions> = (app, { lifecycle, checks, version, worker, supervisor }, done) => {
  const startedAt = performance.now();
  const config = { isOperation: true };
  const isServing = () => lifecycle.state === 'ready' || (lifecycle.isReplaced && lifecycle.state === 'draining');
  const wordFor = (isThere: boolean): Check['status'] => (isThere ? 'ok' : 'unavailable');
  const isReady = () => isServing() && checks.failing().length === 0;

  app.addHook('onRequest', (_request, reply, next) => {
    reply.header('cache-control', 'no-store');
    next();
  });

  app.get('/livez', { config, schema: live }, () => ({ status: 'ok' as const }));

  app.get('/readyz', { config, schema: ready }, (_request, reply) => {
    reply.code(isReady() ? 200 : 503);
    const failing = checks.failing();
    return isServing() && failing.length > 0
      ? { status: 'unavailable' as const, failing }
      : { status: lifecycle.state };
  });

  app.get('/health', { config, schema: healthy }, (_request, reply) => {
    reply.code(isReady() ? 200 : 503);
    const lastReload = supervisor()?.lastReload;
    return {
      status: wordFor(isReady()),
      checks: {
        lifecycle: { status: wordFor(isServing()), state: lifecycle.state },
        ...checks.results(),
      },
      version,
      node: process.version,
      worker,
      pid: process.pid,
      ...(lastReload && { lastReload }),
      uptimeSeconds: Math.round((performance.now() - startedAt) / 1000),
    };
  });
  done();
};
