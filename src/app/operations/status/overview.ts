import { setImmediate } from 'node:timers/promises';
import { STATES } from '../../lifecycle.ts';
import type { Vitals } from '../../vitals.ts';
import type { SupervisorState } from '../supervisor-state.ts';
import type { Beginning, Mark, Point, Situation, WorkerRow } from './messages.ts';
import { STATE } from './process-vitals.ts';
import { type Recording, SECONDS_KEPT } from './recording.ts';

/** What a process has noted, and how it has ended, if it has: by itself and well, or else it was lost. */
export type Recorded = { readonly recording: Recording; readonly end: 'left' | 'lost' | undefined };

/** Of this process and of all others of the service, those that ended in the last quarter of an hour too. */
export type ReadRecordings = () => Promise<readonly Recorded[]>;

/** A second is told when all have noted it; a process that is so late is busy, or hangs, and the others do not wait for it. */
const PATIENCE_SECONDS = 3;

/** The loop may turn after so many seconds of the past: all of it at once would be a turn of tens of milliseconds. */
const SECONDS_PER_TURN = 30;

/** Digits that a chart can show. */
const PRECISION = 4;

/** Makes the state of the service, as a whole, of what its processes have noted. */
export class Overview {
  readonly #vitals: Vitals;
  readonly #read: ReadRecordings;
  readonly #supervisor: () => SupervisorState | undefined;

  constructor(vitals: Vitals, read: ReadRecordings, supervisor: () => SupervisorState | undefined) {
    this.#vitals = vitals;
    this.#read = read;
    this.#supervisor = supervisor;
  }

  /** All that is kept. */
  async beginning(): Promise<Beginning> {
    const panels = this.#vitals.panels.map(({ title, unit, series }) => ({
      title,
      unit,
      series: series.map(({ label, headline = null }) => ({ label, headline })),
    }));
    return { ...(await this.since(0)), secondsKept: SECONDS_KEPT, panels };
  }

  /** @param second the last one, since 1970, that was told already */
  async since(second: number): Promise<Situation> {
    const recorded = await this.#read();
    const now = Date.now();
    const { recentReloads = [], recentScalings = [] } = this.#supervisor() ?? {};
    const oldest = now - 1000 * SECONDS_KEPT;
    return {
      now,
      points: await this.#points(recorded, second, Math.floor(now / 1000)),
      workers: this.#workers(recorded, now),
      marks: marksOf(recorded, now),
      reloads: recentReloads.filter(({ startedAt }) => startedAt > oldest),
      scalings: recentScalings.filter(({ at }) => at > oldest),
    };
  }

  async #points(recorded: readonly Recorded[], after: number, now: number): Promise<Point[]> {
    const recordings = recorded.map(({ recording }) => recording);
    const series = this.#vitals.panels.flatMap((panel) => panel.series);
    const until = toldUntil(recorded, now);
    const points: Point[] = [];
    for (let time = Math.max(after, now - SECONDS_KEPT) + 1; time <= until; time++) {
      const values = series.map(({ vital, combine }) => {
        const noted = recordings
          .map((recording) => recording.at(time, vital.name))
          .filter((each) => each !== undefined);
        return noted.length === 0 ? null : rounded(combine(noted));
      });
      if (values.some((value) => value !== null)) points.push({ time, values });
      if (time % SECONDS_PER_TURN === 0) await setImmediate();
    }
    return points;
  }

  /** Those that run, by their age; those the supervisor has just started, which have not told anything yet, at the end. */
  #workers(recorded: readonly Recorded[], now: number): WorkerRow[] {
    const known = new Map(this.#supervisor()?.workers.map((worker) => [worker.pid, worker]));
    const headlines = this.#vitals.panels.flatMap(({ series }) =>
      series.filter(({ headline }) => headline !== undefined),
    );
    const rows = recorded
      .filter(({ end }) => end === undefined)
      .map(({ recording }): WorkerRow => {
        const { about } = recording;
        const supervised = known.get(about.pid);
        known.delete(about.pid);
        const last = recording.lastUntil(Math.floor(now / 1000));
        const noted = (column: string) => (last === undefined ? undefined : recording.at(last, column));
        return {
          worker: about.worker,
          pid: about.pid,
          // It begins to note when it is ready.
          state: supervised?.state ?? STATES[noted(STATE)?.[0] ?? STATES.indexOf('ready')] ?? 'ready',
          startedAt: about.startedAt,
          restarts: supervised?.restarts ?? null,
          silentSeconds: last === undefined ? 0 : Math.max(0, Math.floor(now / 1000) - last - 1),
          values: headlines.map(({ vital, combine }) => {
            const numbers = noted(vital.name);
            return numbers === undefined ? null : rounded(combine([numbers]));
          }),
        };
      })
      .sort((one, other) => (one.startedAt ?? 0) - (other.startedAt ?? 0));
    const silent = [...known.values()].map(
      ({ worker, pid, state, restarts }): WorkerRow => ({
        worker,
        pid,
        state,
        startedAt: null,
        restarts,
        silentSeconds: 0,
        values: headlines.map(() => null),
      }),
    );
    return [...rows, ...silent];
  }
}

/** The last second that all who run have noted, or should have. */
function toldUntil(recorded: readonly Recorded[], now: number): number {
  const told = recorded
    .filter(({ end }) => end === undefined)
    .map(({ recording }) => recording.lastUntil(now))
    .filter((second) => second !== undefined);
  return Math.max(now - 1 - PATIENCE_SECONDS, Math.min(now - 1, ...told));
}

function marksOf(recorded: readonly Recorded[], now: number): Mark[] {
  const oldest = now - 1000 * SECONDS_KEPT;
  const marks = recorded.flatMap(({ recording, end }): Mark[] => {
    const { worker, readyAt } = recording.about;
    const ready: Mark = { at: readyAt, worker, what: 'ready' };
    const last = recording.lastUntil(Math.floor(now / 1000));
    return end === undefined || last === undefined ? [ready] : [ready, { at: 1000 * (last + 1), worker, what: end }];
  });
  return marks.filter(({ at }) => at > oldest).sort((one, other) => one.at - other.at);
}

function rounded(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Number(value.toPrecision(PRECISION));
}
