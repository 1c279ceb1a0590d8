import type {
  LastReload,
  Reload,
  RestartReason,
  Scaling,
  SupervisorState,
} from '../app/operations/supervisor-state.ts';
import type { SupervisorReport } from '../server/messages.ts';
import type { Place } from './place.ts';
import type { WorkerProcess } from './worker-process.ts';

/** What is told grows with the workers, and so do those that are told: of many changes at once only the last state is. */
const WAIT_MS_PER_WORKER = 5;

/** So many reloads are remembered, and so many scalings. */
const RECENT_MAX = 20;

/** What the supervisor tells its workers of itself, so that whichever is asked can tell operators. */
export class Report {
  readonly #places: readonly Place[];
  readonly #workers: ReadonlySet<WorkerProcess>;
  readonly #restarts: Record<RestartReason, number> = {
    start_failed: 0,
    stood_still: 0,
    killed: 0,
    exited: 0,
    left: 0,
    too_large: 0,
  };
  readonly #reloads = { ok: 0, failed: 0 };
  #lastReload: LastReload | undefined;
  #recentReloads: Reload[] = [];
  #recentScalings: Scaling[] = [];
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param places where a worker is wanted, as it changes
   * @param workers all that run, those that are leaving too
   */
  constructor(places: readonly Place[], workers: ReadonlySet<WorkerProcess>) {
    this.#places = places;
    this.#workers = workers;
  }

  restarted(reason: RestartReason): void {
    this.#restarts[reason]++;
    this.tell();
  }

  reloading(): void {
    const reload = { startedAt: Date.now(), ms: null, result: null };
    this.#recentReloads = [...this.#recentReloads.slice(1 - RECENT_MAX), reload];
    this.tell();
  }

  reloaded(reload: LastReload): void {
    const { ms, result, reason } = reload;
    this.#reloads[result]++;
    this.#lastReload = reload;
    this.#recentReloads = this.#recentReloads.with(-1, { startedAt: Date.parse(reload.at) - ms, ms, result, reason });
    // At once: scripts wait for the line in the log, and then ask how it went.
    this.#tellAll();
  }

  scaled(): void {
    const scaling = { at: Date.now(), workers: this.#places.length };
    this.#recentScalings = [...this.#recentScalings.slice(1 - RECENT_MAX), scaling];
    this.tell();
  }

  /** To be called when anything has changed that is told. */
  tell(): void {
    this.#timer ??= setTimeout(() => this.#tellAll(), WAIT_MS_PER_WORKER * this.#workers.size).unref();
  }

  #tellAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const state: SupervisorState = {
      wanted: this.#places.length,
      ready: this.#places.filter(({ current }) => current?.isReady).length,
      restarts: this.#restarts,
      reloads: this.#reloads,
      lastReload: this.#lastReload,
      recentReloads: this.#recentReloads,
      recentScalings: this.#recentScalings,
      workers: [...this.#workers].map((worker) => ({
        worker: String(worker.id),
        pid: worker.pid,
        state: worker.state,
        restarts: this.#places.find(({ current }) => current === worker)?.restarts ?? null,
        rssMaxBytes: worker.rssMaxBytes,
      })),
    };
    const report: SupervisorReport = { supervisor: state };
    for (const worker of this.#workers) worker.tell(report);
  }
}
