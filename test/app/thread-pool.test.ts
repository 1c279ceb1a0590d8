import { Registry } from 'prom-client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ThreadPool } from '../../src/app/thread-pool.ts';
import { Vitals } from '../../src/app/vitals.ts';
import { keptLog } from '../support/log.ts';

type Task = { ms?: number; dies?: boolean; exhausts?: boolean; throws?: boolean };

const never = () => new AbortController().signal;

function poolOf(threads: number, queueMax: number) {
  const registry = new Registry();
  const { log } = keptLog();
  const pool = new ThreadPool<Task, { elapsedMs: number }>({
    name: 'work',
    file: new URL('../support/threads.js', import.meta.url),
    threads,
    queueMax,
    registry,
    vitals: new Vitals(),
    log,
  });
  onTestFinished(() => pool.close());
  const metric = async (line: string) => {
    const [, value] = new RegExp(`^${line.replace(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(await registry.metrics()) ?? [];
    return Number(value);
  };
  return { pool, metric };
}

describe('a thread pool', () => {
  it('has no thread before there is something to do', async () => {
    const { pool, metric } = poolOf(2, 4);
    expect(await metric('work_threads')).toBe(0);
    await pool.run({ ms: 1 }, never());
    expect(await metric('work_threads')).toBe(2);
  });

  it('lets the event loop turn meanwhile', async () => {
    const { pool } = poolOf(1, 4);
    await pool.run({}, never());
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await pool.run({ ms: 300 }, never());
    clearInterval(timer);
    expect(turns).toBeGreaterThan(20);
  });

  it('refuses what is more than may wait, and takes it again later', async () => {
    const { pool, metric } = poolOf(1, 2);
    await pool.run({}, never());
    const tasks = [1, 2, 3].map(() => pool.run({ ms: 200 }, never()));
    await expect.poll(() => metric('work_queue_length')).toBe(2);
    await expect(pool.run({}, never())).rejects.toMatchObject({ statusCode: 503, code: 'QUEUE_FULL' });
    await Promise.all(tasks);
    await pool.run({}, never());
    expect(await metric('work_rejected_total{reason="queue_full"}')).toBe(1);
    expect(await metric('work_duration_seconds_count')).toBe(5);
    expect(await metric('work_queue_wait_seconds_sum')).toBeGreaterThan(0.5);
  });

  it('gives the place of a client that leaves to others at once', async () => {
    const { pool, metric } = poolOf(1, 1);
    await pool.run({}, never());
    const running = new AbortController();
    const waiting = new AbortController();
    const endless = pool.run({ ms: 600_000 }, running.signal);
    const queued = pool.run({ ms: 600_000 }, waiting.signal);
    await expect.poll(() => metric('work_queue_length')).toBe(1);
    waiting.abort();
    await expect(queued).rejects.toThrow('aborted');
    const next = pool.run({ ms: 1 }, never());
    running.abort();
    await expect(endless).rejects.toThrow('aborted');
    expect(await next).toMatchObject({ elapsedMs: expect.any(Number) });
    expect(await metric('work_rejected_total{reason="client_left"}')).toBe(2);
  });

  it.each([
    ['dies', { dies: true }, 'exited with code: 3'],
    ['runs out of memory', { exhausts: true }, 'memory'],
    ['throws', { throws: true }, 'this cannot be done'],
  ])('whose thread %s fails that task alone, and replaces the thread', async (_what, task, words) => {
    const { pool, metric } = poolOf(1, 4);
    const failing = pool.run(task, never());
    const waiting = pool.run({ ms: 1 }, never());
    await expect(failing).rejects.toThrow(words);
    expect(await waiting).toMatchObject({ elapsedMs: expect.any(Number) });
    expect(await metric('work_threads')).toBe(1);
    expect(await metric('work_rejected_total{reason="failed"}')).toBe(1);
  });

  it('finishes what runs when it is closed', async () => {
    const { pool } = poolOf(1, 4);
    await pool.run({}, never());
    const task = pool.run({ ms: 300 }, never());
    await pool.close();
    expect((await task).elapsedMs).toBeGreaterThan(290);
  });
});
