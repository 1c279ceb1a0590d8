import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { buildApp } from '../../../../src/app/app.ts';
import { listeningApp } from '../../../support/app.ts';
import { keptLog } from '../../../support/log.ts';
import { all, databaseFile, type Event, lines, NDJSON } from './support.ts';

async function storingApp(file = databaseFile()) {
  const { app, url, log } = await listeningApp({ databaseUrl: `file:${file}` });
  app.lifecycle.advance('ready');
  const post = async (events: readonly unknown[]) => {
    const response = await fetch(`${url}/events`, { method: 'POST', headers: NDJSON, body: lines(events) });
    return { status: response.status, headers: response.headers, body: (await response.json()) as unknown };
  };
  const status = async (route: string) => (await fetch(url + route)).status;
  return { app, url, log, post, status, file };
}

/** The same database, as another process has it open. */
function otherConnection(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  onTestFinished(() => {
    if (database.isOpen) database.close();
  });
  return database;
}

/** What keeps an app with this database from getting ready. */
async function whyNotReady(file: string): Promise<unknown> {
  const app = buildApp({ databaseUrl: `file:${file}` }, { log: keptLog().log });
  onTestFinished(() => app.close());
  return app.ready().then(
    () => 'it is ready',
    (error: unknown) => error,
  );
}

describe('the store of the events', () => {
  it('is made with its folder, and is there again for the next process', async () => {
    const { app, post, file } = await storingApp();
    await post([{ type: 'a' }]);
    await app.close();
    const { url } = await storingApp(file);
    expect(await all<Event>(url, '/events')).toHaveLength(1);
  });

  it('may be open several times at once: all see the same', async () => {
    const file = databaseFile();
    const apps = await Promise.all(Array.from({ length: 4 }, () => storingApp(file)));
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, index) =>
        apps[index % 4]?.post([{ type: 'a', id: `${index % 40}` }, { type: 'b' }]),
      ),
    );
    expect(answers.map((answer) => answer?.status)).toEqual(answers.map(() => 201));
    for (const { url } of apps) {
      const events = await all<Event>(url, '/events');
      expect(events).toHaveLength(120);
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    }
  });

  it('does not give a key again when the newest events were deleted', async () => {
    const { url, post, file } = await storingApp();
    await post([{ type: 'a' }, { type: 'a' }]);
    otherConnection(file).exec('DELETE FROM events');
    await post([{ type: 'a' }]);
    expect(await all(url, '/events')).toMatchObject([{ seq: 3 }]);
  });

  it('commits what has arrived when the app closes', async () => {
    const { app, file } = await storingApp();
    const other = otherConnection(file);
    other.exec('BEGIN IMMEDIATE');
    const posting = app.inject({ method: 'POST', url: '/events', headers: NDJSON, payload: '{"type":"last"}' });
    await expect.poll(async () => (await app.inject('/metrics')).body).toMatch(/^events_queue_length 1$/m);
    const closing = app.close();
    other.exec('COMMIT');
    await closing;
    expect((await posting).statusCode).toBe(201);
    expect(other.prepare('SELECT type FROM events').all()).toEqual([{ type: 'last' }]);
  });

  it('closes within half a second', async () => {
    const { app, post } = await storingApp();
    for (let batch = 0; batch < 5; batch++) {
      await post(Array.from({ length: 10_000 }, (_, index) => ({ id: `${batch} ${index}`, type: 'a' })));
    }
    const startedAt = performance.now();
    await app.close();
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});

describe('a store that cannot be opened', () => {
  it('keeps the app from getting ready, which says why: a file that is no database', async () => {
    const file = databaseFile();
    mkdirSync(path.dirname(file));
    writeFileSync(file, 'x'.repeat(10_000));
    expect(await whyNotReady(file)).toMatchObject({
      code: 'CANNOT_OPEN_STORE',
      message: expect.stringMatching(
        /Cannot open the store of the events, file:.* \(DATABASE_URL\): .*no SQLite database/,
      ),
    });
  });

  it('a folder that cannot be made', async () => {
    const file = databaseFile();
    writeFileSync(path.dirname(file), '');
    expect(await whyNotReady(file)).toMatchObject({ message: expect.stringContaining('EEXIST') });
  });

  it('a folder in its place', async () => {
    const file = databaseFile();
    mkdirSync(file, { recursive: true });
    expect(await whyNotReady(file)).toMatchObject({ message: expect.stringContaining('check that it is a file') });
  });

  it('a database of a newer version', async () => {
    const { app, file } = await storingApp();
    await app.close();
    otherConnection(file).exec('PRAGMA user_version = 99');
    expect(await whyNotReady(file)).toMatchObject({ message: expect.stringContaining('newer version') });
  });

  it('one that another process keeps locked', async () => {
    const file = databaseFile();
    mkdirSync(path.dirname(file));
    otherConnection(file).exec('PRAGMA journal_mode = WAL; BEGIN IMMEDIATE');
    expect(await whyNotReady(file)).toMatchObject({ message: expect.stringContaining('locked') });
  });
});

describe('while another process has the lock', () => {
  it('clients wait', async () => {
    const { url, post, file } = await storingApp();
    const other = otherConnection(file);
    other.exec('BEGIN IMMEDIATE');
    const posting = post([{ type: 'a' }]);
    // Reading needs no lock, and is answered meanwhile.
    for (let read = 0; read < 20; read++) expect(await all(url, '/events')).toEqual([]);
    other.exec('COMMIT');
    expect(await posting).toMatchObject({ status: 201 });
  });

  it('but not for ever: they are told to try again, and nothing of theirs is stored', async () => {
    const { url, post, status, file } = await storingApp();
    const other = otherConnection(file);
    other.exec('BEGIN IMMEDIATE');
    const refused = await post([{ type: 'a' }]);
    expect(refused).toMatchObject({ status: 503, body: { code: 'STORE_LOCKED' } });
    expect(refused.headers.has('retry-after')).toBe(true);
    other.exec('COMMIT');
    expect(await status('/readyz')).toBe(200);
    expect(await all(url, '/events')).toEqual([]);
    expect(await post([{ type: 'a' }])).toMatchObject({ status: 201 });
  });
});

describe('a store that fails later', () => {
  it('makes its routes 503 and the process not ready, though live, until it works again by itself', async () => {
    const { url, log, post, status, file } = await storingApp();
    await post([{ type: 'before' }]);
    const other = otherConnection(file);
    other.exec('ALTER TABLE last_seq RENAME TO away');
    expect(await post([{ type: 'lost' }])).toMatchObject({ status: 503, body: { code: 'STORE_UNAVAILABLE' } });
    const refused = await post([{ type: 'lost' }]);
    expect(refused).toMatchObject({ status: 503 });
    expect(refused.headers.has('retry-after')).toBe(true);
    expect(await status('/events')).toBe(503);
    expect(await status('/events/summary')).toBe(503);
    expect(await status('/livez')).toBe(200);
    expect(await status('/greet/John')).toBe(200);
    const ready = await fetch(`${url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ status: 'unavailable', failing: ['events'] });
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
      checks: { events: { status: 'unavailable', reason: expect.stringContaining('last_seq') } },
    });
    expect(log.some(({ level, msg }) => level === 'error' && msg?.startsWith('the store of the events'))).toBe(true);

    other.exec('ALTER TABLE away RENAME TO last_seq');
    await expect.poll(() => status('/readyz')).toBe(200);
    expect(await post([{ type: 'after' }])).toMatchObject({ status: 201 });
    expect(await all(url, '/events')).toMatchObject([{ type: 'before' }, { type: 'after' }]);
  });

  it('gets another thread when its own dies, and those who wait are told', async () => {
    const started: Worker[] = [];
    const watch = (worker: Worker) => started.push(worker);
    process.on('worker', watch);
    onTestFinished(() => void process.off('worker', watch));
    const { post, status, file } = await storingApp();
    expect(started).toHaveLength(1);
    const other = otherConnection(file);
    other.exec('BEGIN IMMEDIATE');
    const posting = post([{ type: 'a' }]);
    await started[0]?.terminate();
    expect(await posting).toMatchObject({ status: 503, body: { code: 'STORE_UNAVAILABLE' } });
    expect(await status('/readyz')).toBe(503);
    other.exec('COMMIT');
    await expect.poll(() => status('/readyz')).toBe(200);
    expect(await post([{ type: 'a' }])).toMatchObject({ status: 201 });
  });
});
