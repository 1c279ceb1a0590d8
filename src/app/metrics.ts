import { setTimeout as sleep } from 'node:timers/promises';
import { Histogram, type Series } from './histogram.ts';
import { Counter, Gauge, Registry } from './prom-client.ts';

/** Fine around a millisecond, where most answers are; coarse up to ten seconds. */
const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** How often the delay of the event loop is measured. Before, nothing is known of it, and prom-client says so with absurd numbers. */
const LOOP_MEASURED_EVERY_MS = 10;

/**
 * The metrics of one app. Each has a registry of its own, so that two apps in one process never share a counter.
 * Labels are bounded: `route` is the template (`/hello/:name`) or `(unmatched)`, never what the client sent.
 */
export class Metrics {
  readonly registry = new Registry();
  /** Those of the process, from the first scrape on. */
  #ofProcess: Promise<void> | undefined;
  readonly #durations: Histogram;
  readonly #malformed: Counter<'status'>;
  readonly #dropped: Counter;
  readonly #shed: Counter<'reason'>;
  /** By route, method and status: texts that are made once, so that finding one is quick. */
  readonly #series = new Map<string, Map<string, Map<number, Series>>>();

  constructor() {
    this.#durations = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from the arrival of the headers to the end of the response. Status 499: the client left first; what failed half-way counts as 500.',
      buckets: DURATION_BUCKETS_SECONDS,
      registry: this.registry,
    });
    this.#malformed = new Counter({
      name: 'http_malformed_requests_total',
      help: 'Connections closed because what came on them was no acceptable HTTP request, by the status they were told.',
      labelNames: ['status'],
      registers: [this.registry],
    });
    this.#dropped = new Counter({
      name: 'http_connections_dropped_total',
      help: 'Connections closed at once, because there were MAX_CONNECTIONS already.',
      registers: [this.registry],
    });
    this.#shed = new Counter({
      name: 'http_requests_shed_total',
      help: 'Requests refused with 503 because of overload: they came late in their turn of the event loop, as many of their route were open as may, or memory was short.',
      labelNames: ['reason'],
      registers: [this.registry],
    });
  }

  /** All of them, in Prometheus' text format. */
  async text(): Promise<string> {
    this.#ofProcess ??= this.#watchProcess();
    await this.#ofProcess;
    return this.registry.metrics();
  }

  /** Loaded late: a process that nobody scrapes need not measure its event loop a hundred times a second. */
  async #watchProcess(): Promise<void> {
    const { collectDefaultMetrics } = await import('prom-client');
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: LOOP_MEASURED_EVERY_MS });
    await sleep(3 * LOOP_MEASURED_EVERY_MS);
  }

  /** Read at each scrape instead of counted at each request. */
  watchInFlight(count: () => number): void {
    new Gauge({
      name: 'http_requests_in_flight',
      help: 'Requests whose answer is not complete yet.',
      registers: [this.registry],
      collect() {
        this.set(count());
      },
    });
  }

  requestEnded(method: string, route: string, status: number, milliseconds: number): void {
    const series = this.#series.get(route)?.get(method)?.get(status) ?? this.#seriesOf(method, route, status);
    series.observe(milliseconds / 1000);
  }

  #seriesOf(method: string, route: string, status: number): Series {
    const series = this.#durations.series({ method, route, status: String(status) });
    const ofRoute = this.#series.get(route) ?? new Map<string, Map<number, Series>>();
    const ofMethod = ofRoute.get(method) ?? new Map<number, Series>();
    this.#series.set(route, ofRoute.set(method, ofMethod.set(status, series)));
    return series;
  }

  connectionDropped(): void {
    this.#dropped.inc();
  }

  requestShed(reason: 'turn' | 'concurrency' | 'memory'): void {
    this.#shed.inc({ reason });
  }

  requestMalformed(status: number): void {
    this.#malformed.inc({ status });
  }
}
