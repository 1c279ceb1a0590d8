import { Counter, Gauge, Registry } from '../metrics/prom-client.ts';
import type { SupervisorState } from './supervisor-state.ts';

/** What is said of the service as a whole, once, whichever of its processes is asked. */
export class ServiceMetrics {
  readonly #registry = new Registry();
  readonly #missing: Gauge<'worker'>;

  constructor(supervisor: () => SupervisorState | undefined) {
    const registers = [this.#registry];
    this.#missing = new Gauge({
      name: 'service_workers_missing',
      help: 'Processes of the service that run but did not report in time: their metrics are missing from this scrape.',
      labelNames: ['worker'],
      registers,
    });
    this.#supervisor(supervisor);
  }

  /** @param missing processes that did not answer */
  text(missing: number): Promise<string> {
    this.#missing.set({ worker: 'all' }, missing);
    return this.#registry.metrics();
  }

  /** Of the supervisor, where there is one. */
  #supervisor(read: () => SupervisorState | undefined): void {
    const registers = [this.#registry];
    const worker = 'supervisor';
    const gauge = (name: string, help: string, value: (state: SupervisorState) => number | undefined) => {
      new Gauge({
        name,
        help,
        labelNames: ['worker'],
        registers,
        collect() {
          const state = read();
          const now = state && value(state);
          if (now !== undefined) this.set({ worker }, now);
        },
      });
    };
    gauge('supervisor_workers_wanted', 'Workers that should be serving.', ({ wanted }) => wanted);
    gauge(
      'supervisor_workers_ready',
      'Workers that are serving, not counting those that were replaced and are still draining.',
      ({ ready }) => ready,
    );
    new Counter({
      name: 'supervisor_worker_restarts_total',
      help: 'Workers that had to be replaced, by reason, not counting those replaced by a reload.',
      labelNames: ['worker', 'reason'],
      registers,
      collect() {
        this.reset();
        for (const [reason, count] of Object.entries(read()?.restarts ?? {})) this.inc({ worker, reason }, count);
      },
    });
    new Counter({
      name: 'supervisor_reloads_total',
      help: 'Rolling reloads that have ended, by result.',
      labelNames: ['worker', 'result'],
      registers,
      collect() {
        this.reset();
        for (const [result, count] of Object.entries(read()?.reloads ?? {})) this.inc({ worker, result }, count);
      },
    });
    gauge(
      'supervisor_last_reload_success',
      'Whether the last rolling reload replaced all workers: 1 or 0.',
      ({ lastReload }) => lastReload && Number(lastReload.result === 'ok'),
    );
    gauge(
      'supervisor_last_reload_duration_seconds',
      'How long the last rolling reload took.',
      ({ lastReload }) => lastReload && lastReload.ms / 1000,
    );
    gauge(
      'supervisor_last_reload_timestamp_seconds',
      'When the last rolling reload ended, in seconds since 1970.',
      ({ lastReload }) => lastReload && Date.parse(lastReload.at) / 1000,
    );
  }
}
