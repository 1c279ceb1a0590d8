/** How the last rolling reload of the service went. */
export type LastReload = {
  readonly result: 'ok' | 'failed';
  /** When it ended, ISO 8601. */
  readonly at: string;
  readonly ms: number;
  /** Why it failed. */
  readonly reason?: string;
};

/**
 * Why a worker had to be replaced: it was never ready, its loop stood still, a signal killed it, it ended or began to leave by itself, or
 * it was above MAX_WORKER_RSS_MB.
 */
export type RestartReason = 'start_failed' | 'stood_still' | 'killed' | 'exited' | 'left' | 'too_large';

/** A worker, whatever it does. */
export type SupervisedWorker = {
  readonly worker: string;
  readonly pid: number;
  readonly state: 'starting' | 'ready' | 'draining';
  /** How many were lost before it where it serves; null where another one serves there now, or still does. */
  readonly restarts: number | null;
  /** With more resident memory it is replaced; null where that never happens, or is not known yet. */
  readonly rssMaxBytes: number | null;
};

export type Reload = {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** null while it runs. */
  readonly ms: number | null;
  readonly result: LastReload['result'] | null;
  /** Why it failed. */
  readonly reason?: string | undefined;
};

/** A worker more or less was asked for. */
export type Scaling = {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** How many were wanted from then on. */
  readonly workers: number;
};

/** What the supervisor tells its workers of itself, so that each can tell it to operators. */
export type SupervisorState = {
  readonly wanted: number;
  readonly ready: number;
  readonly restarts: Readonly<Record<RestartReason, number>>;
  readonly reloads: Readonly<Record<LastReload['result'], number>>;
  readonly lastReload: LastReload | undefined;
  /** The last ones, the oldest first. */
  readonly recentReloads: readonly Reload[];
  /** The last ones, the oldest first; a supervisor that is older than its workers may not tell. */
  readonly recentScalings?: readonly Scaling[];
  readonly workers: readonly SupervisedWorker[];
};
