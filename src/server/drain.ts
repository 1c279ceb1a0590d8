import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../app/types.ts';
import type { Config } from '../config/settings.ts';
import { CLOSE_MS } from '../config/timing.ts';
import type { Connections } from './connections.ts';
import { Patience } from './patience.ts';

/** Why the process ends. */
export type Cause = {
  /** A signal's name, or another word for the log. */
  readonly signal: string;
  /** Whether no other process goes on accepting from the same socket. */
  readonly isLastOwner: boolean;
  /** Whether another process has taken the place of this one, so that nobody waits for its end. */
  readonly isReplaced?: boolean;
  readonly failure?: unknown;
};

/** After a failure nobody knows what still works, so the drain is short. */
const DRAIN_AFTER_FAILURE_MS = 2000;

/** So many of the requests that were cut are named in the log. */
const NAMED_MAX = 20;

/**
 * Ends the service without cutting anyone off, step by step as docs/drain.md tells, and leaves one line in the log.
 *
 * @param hurry when it is aborted, a drain that takes its time takes no more than any other
 * @returns whether every request got its whole answer and everything was released
 */
export async function drain(
  app: App,
  connections: Connections,
  config: Config,
  cause: Cause,
  hurry: AbortSignal,
): Promise<boolean> {
  const { lifecycle, requests, log } = app;
  const steps = new Steps();
  const atStart = { connections: connections.count, inFlight: requests.open.size };
  const answeredBefore = requests.answered;

  log.info({ signal: cause.signal, ...atStart }, 'draining');
  lifecycle.advance('draining');
  await steps.time('delay', cause.failure || cause.isReplaced ? 0 : sleep(config.drainDelayMs));
  await connections.stopAccepting(cause.isLastOwner);
  const patience = patienceFor(cause, config);
  const shorten = () => patience.shorten(config.drainIdleMs, config.drainTimeoutMs);
  if (hurry.aborted) shorten();
  else hurry.addEventListener('abort', shorten);
  const idleClosed = await steps.time('settle', connections.settle(patience));
  const cut = [...requests.open.values()];
  connections.destroy();
  const isReleased = await steps.time(
    'close',
    Promise.race([app.close().then(() => true), sleep(CLOSE_MS, false, { ref: false })]),
  );
  lifecycle.advance('closed');

  const report = {
    signal: cause.signal,
    ms: steps.totalMs,
    stepsMs: steps.ms,
    ...atStart,
    idleClosed,
    finished: requests.answered - answeredBefore,
    cut: cut.length,
  };
  if (cut.length > 0) {
    const cutRequests = cut.slice(0, NAMED_MAX).map(({ request, startedAt }) => ({
      requestId: request.id,
      method: request.method,
      route: request.routeOptions.url,
      ms: Math.round(performance.now() - startedAt),
    }));
    log.error({ ...report, cutRequests }, 'drained; the requests still open at the deadline were cut');
  } else if (!isReleased) {
    log.error(report, `drained, but what the app holds was not released within ${CLOSE_MS} ms`);
  } else {
    log.info(report, 'drained');
  }
  return cut.length === 0 && isReleased;
}

function patienceFor({ failure, isReplaced }: Cause, config: Config): Patience {
  if (failure) return new Patience(DRAIN_AFTER_FAILURE_MS / 2, Math.min(config.drainTimeoutMs, DRAIN_AFTER_FAILURE_MS));
  if (isReplaced) return new Patience(config.reloadIdleMs, config.reloadIdleMs + config.drainTimeoutMs);
  return new Patience(config.drainIdleMs, config.drainTimeoutMs);
}

class Steps {
  readonly ms: Record<string, number> = {};
  readonly #startedAt = performance.now();

  get totalMs(): number {
    return Math.round(performance.now() - this.#startedAt);
  }

  async time<Result>(step: string, work: Result): Promise<Awaited<Result>> {
    const startedAt = performance.now();
    const result = await work;
    this.ms[step] = Math.round(performance.now() - startedAt);
    return result;
  }
}
