import { setTimeout as sleep } from 'node:timers/promises';
import closeWithGrace from 'close-with-grace';
import { toError } from '../app/errors/to-error.ts';
import type { App } from '../app/types.ts';
import type { Config } from '../config/settings.ts';
import { drainBudgetMs, retireBudgetMs } from '../config/timing.ts';
import type { Connections } from './connections.ts';
import { drain } from './drain.ts';
import { firstAndSecond } from './first-and-second.ts';
import { flushLog } from './log-destination.ts';
import { LEAVING, tellParent } from './messages.ts';
import { Patience } from './patience.ts';

/** Should the drain itself hang, the process ends so long after the longest budget that a drain may have is spent. */
const LAST_RESORT_MS = 250;

/** After a failure nobody knows what still works, so the drain is short. */
const FAILED_IDLE_MS = 1000;
const FAILED_TIMEOUT_MS = 2000;

/** How often the delay looks whether it is over. */
const DELAY_STEP_MS = 50;

/** So long a worker that got a signal goes on accepting: the supervisor may be telling it that all of them are to end. */
const SHARED_DELAY_MS = 100;

/** The reasons for which a process ends. The first begins the drain; later ones can only shorten it. */
export type End = {
  /** Somebody wants this process to end. Insisting ends it at once. */
  readonly onSignal: (signal: string) => void;
  /** The whole service ends: no other process goes on accepting from the socket. */
  readonly onStop: (why: string) => void;
  /** The parent is gone: the same, and nobody is there to notice that this one is not ready any more. */
  readonly onParentLost: () => void;
  /** Another process has taken the place of this one: there is no hurry. */
  readonly onReplaced: () => void;
  readonly isEnding: () => boolean;
};

/**
 * Arranges the end of the process. It exits with 0 when every request got its whole answer; with 1 when one was cut, after
 * a failure, or at once on a second signal.
 *
 * @param isSocketShared whether other processes accept from the same socket
 */
export function arrangeEnd(app: App, connections: Connections, config: Config, isSocketShared: boolean): End {
  const { log } = app;
  let patience: Patience | undefined;
  let why = '';
  let isLastOwner = !isSocketShared;
  let hasFailed = false;

  const grace = closeWithGrace(
    {
      delay: Math.max(drainBudgetMs(config), retireBudgetMs(config)) + SHARED_DELAY_MS + LAST_RESORT_MS,
      logger: { error: (failure: unknown) => log.fatal({ err: failure }, 'the drain failed: exiting') },
      // All that it would listen for: see docs/decisions/0004-signals.md.
      skip: [
        'SIGHUP',
        'SIGINT',
        'SIGQUIT',
        'SIGILL',
        'SIGTRAP',
        'SIGABRT',
        'SIGBUS',
        'SIGFPE',
        'SIGSEGV',
        'SIGUSR2',
        'SIGTERM',
        'uncaughtException',
        'unhandledRejection',
        'beforeExit',
      ],
      onTimeout: () => log.fatal('the drain hangs: exiting'),
    },
    async () => {
      const limits = patience ?? new Patience(0, 0, 0);
      app.lifecycle.advance('draining');
      const { requests } = app;
      const atStart = { connections: connections.count, inFlight: requests.inFlight };
      log.info({ signal: why, ...atStart }, 'draining');
      const answeredBefore = requests.answered;
      // In short steps, for the delay may be shortened.
      while (limits.acceptingMs > 0) await sleep(Math.min(limits.acceptingMs, DELAY_STEP_MS));
      await connections.stopAccepting(isLastOwner);
      const isComplete = await drain(app, connections, limits, { signal: why, ...atStart, answeredBefore });
      await flushLog();
      process.exit(isComplete && !hasFailed ? 0 : 1);
    },
  );

  const begin = (reason: string, delayMs: number, idleMs: number, timeoutMs: number) => {
    if (patience !== undefined) {
      patience.shorten(delayMs, idleMs, timeoutMs);
      return;
    }
    why = reason;
    tellParent(LEAVING);
    patience = new Patience(delayMs, idleMs, timeoutMs);
    if (app.lifecycle.state === 'starting' && !app.server.listening) {
      // Nobody has been served, so there is nothing to wait for.
      log.info({ signal: why }, 'asked to stop while starting');
      flushLog().finally(() => process.exit(hasFailed ? 1 : 0));
    } else {
      grace.close();
    }
  };
  const { drainDelayMs, drainIdleMs, drainTimeoutMs, reloadIdleMs } = config;

  const onFailure = (failure: unknown) => {
    // What is thrown while the process ends is not to cut the others short.
    log.fatal({ err: toError(failure) }, 'uncaught failure: draining briefly, then exiting with 1');
    hasFailed = true;
    begin('failure', 0, Math.min(drainIdleMs, FAILED_IDLE_MS), Math.min(drainTimeoutMs, FAILED_TIMEOUT_MS));
  };
  process.on('uncaughtException', onFailure);
  process.on('unhandledRejection', onFailure);

  return {
    onSignal: firstAndSecond<[signal: string]>(
      (signal) => {
        begin(signal, Math.max(drainDelayMs, isSocketShared ? SHARED_DELAY_MS : 0), drainIdleMs, drainTimeoutMs);
      },
      (signal) => {
        log.warn({ signal }, 'second signal: exiting at once');
        flushLog().finally(() => process.exit(1));
      },
    ),
    onStop: (reason) => {
      isLastOwner = true;
      begin(reason, drainDelayMs, drainIdleMs, drainTimeoutMs);
    },
    onParentLost: () => {
      isLastOwner = true;
      begin('parent lost', 0, drainIdleMs, drainTimeoutMs);
    },
    onReplaced: () => {
      app.lifecycle.isReplaced = true;
      begin('replaced', 0, reloadIdleMs, reloadIdleMs + drainTimeoutMs);
    },
    isEnding: () => patience !== undefined,
  };
}
