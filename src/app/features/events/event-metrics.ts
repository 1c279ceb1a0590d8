import { Counter, Gauge, Histogram, type Registry } from '../../metrics/prom-client.ts';
import { count, level, sum, type Vitals } from '../../vitals.ts';
import type { CommitReport } from './messages.ts';

const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const BUCKETS_EVENTS = [1, 10, 100, 1000, 10_000];

/** The codes of refusals that are no fault of the client's. */
const REFUSED = ['queue_full', 'body_slow', 'store_unavailable', 'store_locked'];

/** The `events_…` series of one process. */
export class EventMetrics {
  readonly #stored: Counter;
  readonly #rejected: Counter<'reason'>;
  readonly #waits: Histogram;
  readonly #commits: Histogram;
  readonly #sizes: Histogram;
  readonly #queue: { readonly requests: number; readonly bytes: number };
  #storedSoFar = 0;
  #rejectedSoFar = 0;

  /** @param queue is read at each scrape */
  constructor(registry: Registry, queue: { readonly requests: number; readonly bytes: number }) {
    this.#queue = queue;
    const registers = [registry];
    this.#stored = new Counter({
      name: 'events_stored_total',
      help: 'New events that have been committed.',
      registers,
    });
    this.#rejected = new Counter({
      name: 'events_rejected_total',
      help: 'Requests whose events were not acknowledged, by the error code in the response, or client_left.',
      labelNames: ['reason'],
      registers,
    });
    // From the start, for Prometheus sees no increase in a series that begins with 1.
    for (const reason of REFUSED) this.#rejected.inc({ reason }, 0);
    this.#waits = new Histogram({
      name: 'events_wait_seconds',
      help: 'How long the oldest request of each commit had waited, from the end of its body to the beginning of the commit.',
      buckets: BUCKETS_SECONDS,
      registers,
    });
    this.#commits = new Histogram({
      name: 'events_commit_duration_seconds',
      help: 'How long commits took, including the wait for other processes.',
      buckets: BUCKETS_SECONDS,
      registers,
    });
    this.#sizes = new Histogram({
      name: 'events_commit_size',
      help: 'New events in each commit.',
      buckets: BUCKETS_EVENTS,
      registers,
    });
    new Gauge({
      name: 'events_queue_length',
      help: 'Requests that are arriving or waiting to be committed.',
      registers,
      collect() {
        this.set(queue.requests);
      },
    });
    new Gauge({
      name: 'events_queue_bytes',
      help: 'Bytes received so far of the requests that events_queue_length counts.',
      registers,
      collect() {
        this.set(queue.bytes);
      },
    });
  }

  /** As `/status` shows them. */
  addTo(vitals: Vitals): void {
    vitals.add({
      title: 'Events',
      unit: 'a second',
      series: [
        { label: 'stored', vital: count('events_stored', () => this.#storedSoFar), combine: sum },
        {
          label: 'requests not acknowledged',
          vital: count('events_rejected', () => this.#rejectedSoFar),
          combine: sum,
        },
      ],
    });
    vitals.add({
      title: 'Requests with events, waiting to be stored',
      unit: 'number',
      series: [{ label: 'waiting', vital: level('events_waiting', () => this.#queue.requests), combine: sum }],
    });
  }

  committed({ stored, ms, waitMs }: CommitReport): void {
    this.#storedSoFar += stored;
    this.#stored.inc(stored);
    this.#waits.observe(waitMs / 1000);
    this.#commits.observe(ms / 1000);
    this.#sizes.observe(stored);
  }

  /** @param code as the client is told it */
  rejected(code: string): void {
    this.#rejectedSoFar++;
    this.#rejected.inc({ reason: code.toLowerCase() });
  }
}
