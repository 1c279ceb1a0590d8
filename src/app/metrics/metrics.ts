import { setTimeout as sleep } from 'node:timers/promises';
import type { Checks } from '../checks.ts';
import { isKnown, OTHER_METHOD } from '../http/methods.ts';
import { lateModule } from '../late-modules.ts';
import { lazily } from '../lazily.ts';
import { Histogram, type Series } from './histogram.ts';
import { Counter, Gauge, Registry } from './prom-client.ts';

const promClient = lateModule(() => import('prom-client'));

/** Fine around a millisecond, where most answers are; coarse up to ten seconds. */
export const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Up to MAX_QUEUE_DELAY_MS and beyond. */
export const QUEUE_DELAY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1];

/** How often the delay of the event loop is measured. Before, nothing is known of it, and prom-client says so with absurd numbers. */
const LOOP_MEASURED_EVERY_MS = 10;

/** Gauges that are named like counters, and that Node has no documented source for. */
const NOT_OF_PROM_CLIENT = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** What socket-errors.ts tells clients. */
const MALFORMED_STATUSES = [400, 405, 408, 413, 431] as const;

export type MalformedStatus = (typeof MALFORMED_STATUSES)[number];

/** It came late in its turn, too many of its route were in progress, or memory was short. */
export const SHED_REASONS = ['turn', 'concurrency', 'memory'] as const;

type ShedReason = (typeof SHED_REASONS)[number];

/** What is counted of requests with the same labels. */
type Kind = { readonly durations: Series; bytes: number };

/**
 * The metrics of one app. Each has a registry of its own, so that two apps in one process never share a counter.
 * Labels are bounded: `route` is the template (`/hello/:name`) or `(unmatched)`, and `method` one of HTTP's own or `_OTHER`, never what the
 * client sent.
 */
export class Metrics {
  readonly registry = new Registry();
  /** Those of the process, from the first scrape on. */
  readonly #ofProcess = lazily(() => this.#watchProcess());
  readonly #durations: Histogram;
  readonly #malformed: Counter<'status'>;
  readonly #dropped: Counter;
  /** By route, method and status: texts that are made once, so that finding one is quick. */
  readonly #kinds = new Map<string, Map<string, Map<number, Kind>>>();
  readonly #queueDelays: Series;
  /** Requests that were refused because of overload. */
  readonly shed: Record<ShedReason, number> = { turn: 0, concurrency: 0, memory: 0 };

  /** @param worker which of several processes this is: in each series */
  constructor(worker: string) {
    this.registry.setDefaultLabels({ worker });
    this.#durations = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from the arrival of the request headers to the end of the response. Status 499: the client left first. A response that failed halfway counts as 500.',
      buckets: DURATION_BUCKETS_SECONDS,
      registry: this.registry,
    });
    const kinds = this.#kinds;
    new Counter({
      name: 'http_response_bytes_total',
      help: 'Bytes of responses, headers included, that were written to the connection, even if the client then left.',
      labelNames: ['method', 'route', 'status'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [route, ofRoute] of kinds) {
          for (const [method, ofMethod] of ofRoute) {
            for (const [status, { bytes }] of ofMethod) this.inc({ method, route, status }, bytes);
          }
        }
      },
    });
    this.#queueDelays = new Histogram({
      name: 'http_queue_delay_seconds',
      help: 'Longest time that a request may have waited for others in its turn of the event loop: each request that was not refused counts with the length of the whole turn. An overloaded worker refuses what waits longer than MAX_QUEUE_DELAY_MS, or several times as long if requests are cheap.',
      buckets: QUEUE_DELAY_BUCKETS_SECONDS,
      registry: this.registry,
    }).series({});
    new Counter({
      name: 'nodejs_eventloop_active_seconds_total',
      help: 'Time in which the event loop was not idle. Its rate is the utilization of the loop, at most 1.',
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(performance.eventLoopUtilization().active / 1000);
      },
    });
    this.#malformed = new Counter({
      name: 'http_malformed_requests_total',
      help: 'Connections closed because what arrived was not an acceptable HTTP request, by the status that was sent. A request whose body only is malformed or late is counted as a request instead.',
      labelNames: ['status'],
      registers: [this.registry],
    });
    // From the start, for Prometheus sees no increase in a series that begins with 1. So with the others.
    for (const status of MALFORMED_STATUSES) this.#malformed.inc({ status }, 0);
    this.#dropped = new Counter({
      name: 'http_connections_dropped_total',
      help: 'Connections closed at once because the process had as many as it may have: MAX_CONNECTIONS, or fewer where the limit of open files is lower.',
      registers: [this.registry],
    });
    const { shed } = this;
    new Counter({
      name: 'http_requests_shed_total',
      help: 'Requests refused with 503 because of overload, by reason. turn: it came late in its turn of the event loop; concurrency: its route had as many open requests as it may have; memory: memory was short.',
      labelNames: ['reason'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const reason of SHED_REASONS) this.inc({ reason }, shed[reason]);
      },
    });
  }

  /** Read at each scrape instead of counted at each request. */
  watchInFlight(count: () => number): void {
    new Gauge({
      name: 'http_requests_in_flight',
      help: 'Requests whose response is not complete yet.',
      registers: [this.registry],
      collect() {
        this.set(count());
      },
    });
  }

  /**
   * What an objective for errors is measured by. They are there from the first scrape on, with 0: a series of the histogram is born by the first
   * request with its status, and Prometheus sees no increase in that.
   *
   * @param isCounted of a route
   */
  watchOutcomes(isCounted: (route: string) => boolean): void {
    const outcomes = () => this.outcomes(isCounted);
    const registers = [this.registry];
    new Counter({
      name: 'http_requests_total',
      help: 'Requests that have ended, except those to operations routes such as /readyz and /metrics.',
      registers,
      collect() {
        this.reset();
        for (const count of outcomes()) this.inc(count);
      },
    });
    new Counter({
      name: 'http_request_errors_total',
      help: 'Those of http_requests_total that failed: status 5xx, except 503, which is a refusal.',
      registers,
      collect() {
        this.reset();
        const [, , failed] = outcomes();
        this.inc(failed);
      },
    });
  }

  /** What `/readyz` looks at: an operator is to know of it where nobody asks that. */
  watchChecks(checks: Checks): void {
    new Gauge({
      name: 'service_check_success',
      help: 'Whether what the service depends on is available, by check: 1 or 0. While any is 0, the process is not ready.',
      labelNames: ['check'],
      registers: [this.registry],
      collect() {
        for (const [check, { status }] of Object.entries(checks.results()))
          this.set({ check }, Number(status === 'ok'));
      },
    });
  }

  requestEnded(method: string, route: string, status: number, milliseconds: number, bytes: number): void {
    const kind = this.#kinds.get(route)?.get(method)?.get(status) ?? this.#kindOf(method, route, status);
    kind.durations.observe(milliseconds / 1000);
    kind.bytes += bytes;
  }

  /**
   * A turn of the event loop that brought requests has ended, so long after the first of them. Each of them counts: where one slow turn
   * had a hundred, and each of a hundred quick turns had one, half of all requests may have waited, and not one in a hundred.
   */
  turnEnded(milliseconds: number, requests: number): void {
    this.#queueDelays.observe(milliseconds / 1000, requests);
  }

  /** Of a method that nobody has heard of each time: those have one name together, whatever clients send. */
  #kindOf(sent: string, route: string, status: number): Kind {
    const method = isKnown(sent) ? sent : OTHER_METHOD;
    const ofRoute = this.#kinds.get(route) ?? new Map<string, Map<number, Kind>>();
    const ofMethod = ofRoute.get(method) ?? new Map<number, Kind>();
    this.#kinds.set(route, ofRoute.set(method, ofMethod));
    const known = ofMethod.get(status);
    if (known) return known;
    const kind = { durations: this.#durations.series({ method, route, status: String(status) }), bytes: 0 };
    ofMethod.set(status, kind);
    return kind;
  }

  /** @returns how many requests of such routes were answered, refused with 503, and failed with another 5xx */
  outcomes(isCounted: (route: string) => boolean): [answered: number, refused: number, failed: number] {
    const outcomes: [number, number, number] = [0, 0, 0];
    for (const [status, { durations }] of this.#kindsOf(isCounted)) {
      outcomes[status === 503 ? 1 : status >= 500 ? 2 : 0] += durations.count;
    }
    return outcomes;
  }

  /** @returns how many requests of such routes there are in each bucket, by itself */
  durations(isCounted: (route: string) => boolean): number[] {
    const counts: number[] = new Array(DURATION_BUCKETS_SECONDS.length + 1).fill(0);
    for (const [, { durations }] of this.#kindsOf(isCounted)) {
      for (const [bucket, count] of durations.counts.entries()) counts[bucket] = (counts[bucket] ?? 0) + count;
    }
    return counts;
  }

  *#kindsOf(isCounted: (route: string) => boolean): Generator<[status: number, Kind]> {
    for (const [route, ofRoute] of this.#kinds) {
      if (isCounted(route)) for (const ofMethod of ofRoute.values()) yield* ofMethod;
    }
  }

  /** Of each bucket by itself. */
  get queueDelays(): readonly number[] {
    return this.#queueDelays.counts;
  }

  /** All of them, in Prometheus' text format. */
  async text(): Promise<string> {
    // Without a descriptor it cannot be loaded, and the next scrape tries again: what is known already matters just then.
    await this.#ofProcess().catch(() => {});
    return this.registry.metrics();
  }

  /** Loaded late: a process that nobody scrapes need not measure its event loop a hundred times a second. */
  async #watchProcess(): Promise<void> {
    const { collectDefaultMetrics } = await promClient();
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: LOOP_MEASURED_EVERY_MS });
    for (const name of NOT_OF_PROM_CLIENT) this.registry.removeSingleMetric(name);
    await sleep(3 * LOOP_MEASURED_EVERY_MS);
  }

  connectionDropped(): void {
    this.#dropped.inc();
  }

  requestShed(reason: ShedReason): void {
    this.shed[reason]++;
  }

  requestMalformed(status: MalformedStatus): void {
    this.#malformed.inc({ status });
  }
}
