import type { Config } from './settings.ts';

/**
 * The timing budget: every time that has to fit inside another one, derived in one place.
 *
 * ```
 * | drainDelayMs | drainIdleMs ... drainTimeoutMs | CLOSE_MS |   the process leaves by itself
 *                                                             | MARGIN_MS |   its supervisor kills it
 *                                                                         | MARGIN_MS |   PM2, Docker, systemd or
 * ```                                                                                     Kubernetes kill them all
 */
const MARGIN_MS = 500;

/** For the app to flush and to release what it holds, once no request is open. */
export const CLOSE_MS = 500;

/** For the last spans to reach their receiver, out of what the drain has left; so long as CLOSE_MS they may take in any case. */
export const FLUSH_MS = 1000;

/** From the signal to the end of a process that serves. */
export function drainBudgetMs(config: Config): number {
  return config.drainDelayMs + config.drainTimeoutMs + CLOSE_MS;
}

/** From the signal until the supervisor kills workers that did not leave by themselves. */
export function supervisorPatienceMs(config: Config): number {
  return drainBudgetMs(config) + MARGIN_MS;
}

/** The same for a worker that another one has replaced: it may wait for idle clients to come once more. */
export function retireBudgetMs(config: Config): number {
  return config.reloadIdleMs + config.drainTimeoutMs + CLOSE_MS;
}

export function retirePatienceMs(config: Config): number {
  return retireBudgetMs(config) + MARGIN_MS;
}

/** What whoever stops the service must grant before SIGKILL: PM2's `kill_timeout`, the stop time of a container. */
export function killTimeoutMs(config: Config): number {
  return supervisorPatienceMs(config) + MARGIN_MS;
}

/** What PM2 must grant a new instance to become ready: its `listen_timeout`. */
export function listenTimeoutMs(config: Config): number {
  return config.startTimeoutMs + MARGIN_MS;
}

/** Clients take a second (Node) or two (undici) off what they are told. */
const TOLD_LEAST_MS = 3000;

/**
 * How long clients are told that an idle connection is kept: no longer than a draining process waits for them. Whoever heeds
 * it has closed the connection by then, and never sends on one that is just being closed.
 */
export function toldKeepAliveMs(config: Config): number {
  return Math.min(config.keepAliveTimeoutMs, Math.max(TOLD_LEAST_MS, config.drainIdleMs));
}

/** Sentences for the operator, one for each pair of times that do not fit. */
export function timingProblems(config: Config): string[] {
  // Of a value that is wrong by itself, and undefined here, nothing more is said.
  return config.drainIdleMs >= config.drainTimeoutMs
    ? [
        `DRAIN_IDLE_MS (${config.drainIdleMs}) must be less than DRAIN_TIMEOUT_MS (${config.drainTimeoutMs}): idle connections are closed before the deadline cuts everything; lower or raise both`,
      ]
    : [];
}
