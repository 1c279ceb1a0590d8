import closeWithGrace from 'close-with-grace';
import type { App } from '../app/types.ts';
import type { Config } from '../config/settings.ts';
import { drainBudgetMs, retireBudgetMs } from '../config/timing.ts';
import type { Connections } from './connections.ts';
import { type Cause, drain } from './drain.ts';
import { firstAndSecond } from './first-and-second.ts';
import { flushLog } from './log-destination.ts';

/** Should the drain itself hang, the process ends so long after its budget is spent. */
const LAST_RESORT_MS = 250;

/** The ways in which a process is told to end. */
export type End = {
  /** @param isLastOwner whether no other process goes on accepting from the same socket */
  readonly onSignal: (signal: string, isLastOwner: boolean) => void;
  /** Another process has taken the place of this one. */
  readonly onReplaced: () => void;
};

/**
 * Arranges the end of the process: what is returned drains it, and so does an uncaught failure. It exits with 0 when every
 * request got its whole answer; with 1 when one was cut, after a failure, or at once on a second signal.
 */
export function arrangeEnd(app: App, connections: Connections, config: Config): End {
  const { log } = app;
  const hurry = new AbortController();
  let cause: Cause | undefined;

  const grace = closeWithGrace(
    {
      delay: Math.max(drainBudgetMs(config), retireBudgetMs(config)) + LAST_RESORT_MS,
      logger: { error: (failure: unknown) => log.fatal({ err: failure }, 'the drain failed: exiting') },
      // Signals come through `end`, which can tell a second one from an echo. And a listener for SIGSEGV, SIGBUS, SIGFPE
      // or SIGILL would turn a crash into a process that hangs.
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
      ],
      onSecondError: (failure) => log.fatal({ err: failure }, 'another failure while draining: exiting at once'),
      onTimeout: () => log.fatal('the drain hangs: exiting'),
    },
    async ({ err }) => {
      if (cause === undefined) {
        cause = {
          signal: 'failure',
          isLastOwner: false,
          failure: err ?? new Error('something that is no error was thrown'),
        };
        log.fatal({ err: cause.failure }, 'uncaught failure: draining, then exiting with 1');
      }
      const isComplete = await drain(app, connections, config, cause, hurry.signal);
      await flushLog();
      process.exit(isComplete && cause.failure === undefined ? 0 : 1);
    },
  );

  const begin = (next: Cause) => {
    // A failure may have begun the drain already.
    if (cause !== undefined) return;
    cause = next;
    grace.close();
  };
  return {
    onReplaced: () => begin({ signal: 'replaced', isLastOwner: false, isReplaced: true }),
    onSignal: firstAndSecond<[signal: string, isLastOwner: boolean]>(
      (signal, isLastOwner) => {
        hurry.abort();
        begin({ signal, isLastOwner });
      },
      (signal) => {
        log.warn({ signal }, 'second signal: exiting at once');
        flushLog().finally(() => process.exit(1));
      },
    ),
  };
}
