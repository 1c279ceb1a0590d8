import { fileURLToPath } from 'node:url';
import type { FastifyBaseLogger } from 'fastify';
import type { Piscina } from 'piscina';
import { Busy } from './errors/busy.ts';
import { lateModule } from './late-modules.ts';
import { lazily } from './lazily.ts';
import { Counter, Gauge, Histogram, type Registry } from './metrics/prom-client.ts';
import { level, sum, type Vitals } from './vitals.ts';

const piscina = lateModule(() => import('piscina'));

/** What lives in V8's heap of one thread. Typed arrays and other buffers are outside of it. */
const HEAP_MAX_MB = 64;

/** Threads give way to the event loop where there are not enough cores for both: it has many waiting, they have one each. */
const NICENESS = 10;

/** When a full queue may have room again: about as long as its tasks take. */
const RETRY_AFTER_SECONDS = 1;

const BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const REJECTIONS = ['queue_full', 'client_left', 'failed'] as const;

export type ThreadPoolOptions = {
  /** For its metrics: `sort` makes `sort_queue_length`. */
  readonly name: string;
  /** The file whose default export does a task, and says in `elapsedMs` how long it took. */
  readonly file: URL;
  readonly threads: number;
  /** Tasks that may wait for a thread. */
  readonly queueMax: number;
  readonly registry: Registry;
  readonly vitals: Vitals;
  readonly log: FastifyBaseLogger;
};

/**
 * Does CPU work in threads, so that the event loop goes on turning. They are started with the first task, and replaced when
 * they die.
 *
 * @see https://github.com/piscinajs/piscina
 */
export class ThreadPool<Task, Result extends { readonly elapsedMs: number }> {
  readonly #options: ThreadPoolOptions;
  readonly #waits: Histogram;
  readonly #runs: Histogram;
  readonly #rejected: Counter<'reason'>;
  readonly #started = lazily(() => this.#start());
  #pool: Piscina<Task, Result> | undefined;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    const { name, registry, vitals } = options;
    const registers = [registry];
    this.#waits = new Histogram({
      name: `${name}_queue_wait_seconds`,
      help: 'How long tasks waited for a thread, including the time that one takes to start.',
      buckets: BUCKETS_SECONDS,
      registers,
    });
    this.#runs = new Histogram({
      name: `${name}_duration_seconds`,
      help: 'How long tasks ran in their thread.',
      buckets: BUCKETS_SECONDS,
      registers,
    });
    this.#rejected = new Counter({
      name: `${name}_rejected_total`,
      help: 'Tasks without a result, by reason: the queue was full, the client left, or the thread failed.',
      labelNames: ['reason'],
      registers,
    });
    // From the start, for Prometheus sees no increase in a series that begins with 1.
    for (const reason of REJECTIONS) this.#rejected.inc({ reason }, 0);
    this.#watch('queue_length', 'Tasks waiting for a thread.', ({ queueSize }) => queueSize);
    this.#watch('threads', 'Threads running, idle ones included.', ({ threads }) => threads.length);
    this.#watch('threads_idle', 'Threads with nothing to do.', ({ idleThreads }) => idleThreads);
    const now = (what: string, value: (pool: Piscina<Task, Result>) => number) =>
      level(`${name}_${what}`, () => (this.#pool === undefined ? 0 : value(this.#pool)));
    vitals.add({
      title: `Tasks of ${name}, in threads`,
      unit: 'number',
      series: [
        {
          label: 'running',
          vital: now('running', ({ threads, idleThreads }) => threads.length - idleThreads),
          combine: sum,
        },
        { label: 'waiting', vital: now('waiting', ({ queueSize }) => queueSize), combine: sum },
      ],
    });
  }

  /**
   * @param signal frees the place of the task at once: in the queue, or by ending its thread, for which another one is started
   * @throws {Busy} when the queue is full
   */
  async run(task: Task, signal: AbortSignal): Promise<Result> {
    const pool = this.#pool ?? (await this.#started());
    if (pool.queueSize >= this.#options.queueMax) {
      this.#rejected.inc({ reason: 'queue_full' });
      throw new Busy('QUEUE_FULL', 'The queue is full. Try again later.', RETRY_AFTER_SECONDS);
    }
    const startedAt = performance.now();
    try {
      const result = await pool.run(task, { signal });
      this.#runs.observe(result.elapsedMs / 1000);
      this.#waits.observe(Math.max(0, performance.now() - startedAt - result.elapsedMs) / 1000);
      return result;
    } catch (error) {
      this.#rejected.inc({ reason: signal.aborted ? 'client_left' : 'failed' });
      throw error;
    }
  }

  /** Waits for what runs, and ends the threads. */
  async close(): Promise<void> {
    await this.#pool?.close();
  }

  async #start(): Promise<Piscina<Task, Result>> {
    const { Piscina } = await piscina();
    const { file, threads, log } = this.#options;
    this.#pool = new Piscina<Task, Result>({
      filename: fileURLToPath(file),
      minThreads: threads,
      maxThreads: threads,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MAX_MB },
      niceIncrement: NICENESS,
    });
    this.#pool.on('error', (error) => log.error({ err: error }, 'a thread failed'));
    return this.#pool;
  }

  /** A gauge that is read at each scrape; 0 where there are no threads yet. */
  #watch(what: string, help: string, value: (pool: Piscina<Task, Result>) => number): void {
    const current = () => (this.#pool === undefined ? 0 : value(this.#pool));
    new Gauge({
      name: `${this.#options.name}_${what}`,
      help,
      registers: [this.#options.registry],
      collect() {
        this.set(current());
      },
    });
  }
}
