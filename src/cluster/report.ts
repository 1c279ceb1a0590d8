import type { LastReload, RestartReason, SupervisorState } from '../app/operations/supervisor-state.ts';
import type { SupervisorReport } from '../server/messages.ts';
import type { Place } from './place.ts';
import type { WorkerProcess } from './worker-process.ts';

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

  reloaded(reload: LastReload): void {
    this.#reloads[reload.result]++;
    this.#lastReload = reload;
    this.tell();
  }

  /** To be called when anything has changed that is told. */
  tell(): void {
    const state: SupervisorState = {
      wanted: this.#places.length,
      ready: this.#places.filter(({ current }) => current?.isReady).length,
      restarts: this.#restarts,
      reloads: this.#reloads,
      lastReload: this.#lastReload,
    };
    const report: SupervisorReport = { supervisor: state };
    for (const worker of this.#workers) worker.tell(report);
  }
}
