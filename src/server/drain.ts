import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../app/types.ts';
import { CLOSE_MS, FLUSH_MS } from '../config/timing.ts';
import type { Connections } from './connections.ts';
import type { Patience } from './patience.ts';

/** So many of the requests that were cut are named in the log. */
const NAMED_MAX = 20;

/** What was known when the drain began, for its report. */
export type Beginning = {
  readonly signal: string;
  readonly connections: number;
  readonly inFlight: number;
  readonly answeredBefore: number;
};

/**
 * Lets everything that is open finish, as docs/drain.md tells, releases what the app holds, and leaves one line in the log.
 *
 * @returns whether every request got its whole answer and everything was released
 */
export async function drain(
  app: App,
  connections: Connections,
  patience: Patience,
  beginning: Beginning,
): Promise<boolean> {
  const { lifecycle, requests, log } = app;
  const { signal, inFlight, answeredBefore } = beginning;
  const delayMs = patience.elapsedMs;

  const idleClosed = await connections.settle(patience);
  const cut = [...requests.open];
  connections.destroy();
  const settledMs = patience.elapsedMs;
  // Spans that nobody takes are no failure, and wait only as long as the drain might have taken anyway.
  const told = app.endTracing(Math.min(FLUSH_MS, patience.remainingMs + CLOSE_MS));
  const closing = app.close().then(
    () => true,
    (failure: unknown) => {
      log.error({ err: failure }, 'the app could not release what it holds');
      return false;
    },
  );
  const isReleased = await Promise.race([closing, sleep(CLOSE_MS, false, { ref: false })]);
  await told;
  lifecycle.advance('closed');
  const endMs = patience.elapsedMs;

  const report = {
    signal,
    ms: Math.round(endMs),
    stepsMs: {
      delay: Math.round(delayMs),
      settle: Math.round(settledMs - delayMs),
      close: Math.round(endMs - settledMs),
    },
    connections: beginning.connections,
    idleClosed,
    inFlight,
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
