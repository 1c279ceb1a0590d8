import type { Checks } from '../checks.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Plugin } from '../types.ts';
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
  const isReady = () => isServing() && checks.failing().length === 0;

  app.addHook('onRequest', (_request, reply, next) => {
    reply.header('cache-control', 'no-store');
    next();
  });

  app.get('/livez', { config }, () => ({ status: 'ok' }));

  app.get('/readyz', { config }, (_request, reply) => {
    reply.code(isReady() ? 200 : 503);
    const failing = checks.failing();
    return isServing() && failing.length > 0 ? { status: 'unavailable', failing } : { status: lifecycle.state };
  });

  app.get('/health', { config }, (_request, reply) => {
    reply.code(isReady() ? 200 : 503);
    return {
      status: isReady() ? 'ok' : 'unavailable',
      checks: {
        lifecycle: { status: isServing() ? 'ok' : 'unavailable', state: lifecycle.state },
        ...checks.results(),
      },
      version,
      node: process.version,
      worker,
      pid: process.pid,
      lastReload: supervisor()?.lastReload,
      uptimeSeconds: Math.round((performance.now() - startedAt) / 1000),
    };
  });
  done();
};
