import type { Registry } from 'prom-client';
import type { Config } from '../../../config/settings.ts';
import { threadCount } from '../../../config/worker-count.ts';
import { ThreadPool } from '../../thread-pool.ts';
import type { Plugin } from '../../types.ts';
import type { Vitals } from '../../vitals.ts';

/** Five million numbers are 40 MB, and a second's work. */
const COUNT_MAX = 5_000_000;

/** For each thread so many may wait: some seconds' work at most. */
const WAITING_PER_THREAD = 4;

const THREAD = new URL('sort-thread.js', import.meta.url);

const options = {
  // By the queue of the pool.
  config: { boundsItself: true },
  schema: {
    summary: 'Sort random numbers in a thread',
    querystring: {
      type: 'object',
      required: ['count'],
      properties: {
        count: {
          type: 'integer',
          minimum: 1,
          maximum: COUNT_MAX,
          default: 1_000_000,
          description: 'How many numbers to sort.',
        },
      },
    },
    response: {
      200: {
        type: 'object',
        description: 'What was sorted, and how long it took.',
        additionalProperties: false,
        required: ['first', 'count', 'elapsedMs'],
        properties: {
          first: { type: 'number', minimum: 0, description: 'The smallest of the numbers.' },
          count: { type: 'integer' },
          elapsedMs: { type: 'number', minimum: 0, description: 'How long the thread took, in milliseconds.' },
        },
      },
    },
  },
} as const;

export type SortOptions = {
  readonly registry: Registry;
  readonly vitals: Vitals;
  readonly config: Config;
};

/**
 * Sorts random numbers in a thread, as a model of CPU work that must not keep the event loop from turning:
 * `GET /sort?count=1000000` → `{"first":3.1e-7,"count":1000000,"elapsedMs":91.3}`, where `first` is the smallest.
 */
export const sort: Plugin<SortOptions> = (app, { registry, vitals, config }, done) => {
  const threads = threadCount(config);
  const pool = new ThreadPool<number, { first: number; elapsedMs: number }>({
    name: 'sort',
    file: THREAD,
    threads,
    queueMax: threads * WAITING_PER_THREAD,
    registry,
    vitals,
    log: app.log,
  });
  app.addHook('onClose', () => pool.close());

  app.get('/sort', options, async (request, reply) => {
    const { count } = request.query;
    reply.header('cache-control', 'no-store');
    const { first, elapsedMs } = await pool.run(count, request.signal);
    return { first, count, elapsedMs };
  });
  done();
};
