import type { LifecycleState } from '../../lifecycle.ts';
import type { Unit } from '../../vitals.ts';
import type { Reload, Scaling } from '../supervisor-state.ts';

/** As numbers: of all series, in the order of the panels. */
export type Point = {
  /** Seconds since 1970. */
  readonly time: number;
  /** null where nothing is known, or nothing happened that could be measured. */
  readonly values: readonly (number | null)[];
};

export type WorkerRow = {
  readonly worker: string;
  readonly pid: number;
  readonly state: LifecycleState;
  /** Milliseconds since 1970; null for one that has not told yet. */
  readonly startedAt: number | null;
  /** How often its predecessors were lost; null where another worker has its place now, or nobody counts: PM2 counts reloads as well. */
  readonly restarts: number | null;
  /** Since it has told anything. */
  readonly silentSeconds: number;
  /** The headlines, of this process alone. */
  readonly values: readonly (number | null)[];
};

/** What happened to a process. Times are milliseconds since 1970. */
export type Mark = {
  readonly at: number;
  readonly worker: string;
  readonly what: 'ready' | 'left' | 'lost';
};

/** Sent every second. */
export type Situation = {
  readonly now: number;
  readonly points: readonly Point[];
  readonly workers: readonly WorkerRow[];
  readonly marks: readonly Mark[];
  readonly reloads: readonly Reload[];
  readonly scalings: readonly Scaling[];
};

/** Sent first, with all that is kept. */
export type Beginning = Situation & {
  readonly secondsKept: number;
  readonly panels: readonly {
    readonly title: string;
    readonly unit: Unit;
    readonly series: readonly { readonly label: string; readonly headline: string | null }[];
  }[];
};
