import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openStore } from '../../../../src/app/features/events/thread/open-store.js';
import { mayHaveDisk, Service } from '../../../support/processes.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { all, databaseFile, JSON_TYPE } from './support.ts';

/** How long readiness is watched: reopening begins after a quarter of a second. */
const WATCHED_MS = 3000;

describe('a disk that is full, and has room again', () => {
  it('the process is not ready in between, and then goes on by itself', async ({ skip }) => {
    const folder = temporaryFolder();
    if (!mayHaveDisk(folder)) skip('this user may not mount a small disk');
    const service = new Service('src/server/main.js', { DATABASE_URL: `file:${folder}/events.db` }, { disk: folder });
    const url = await service.ready();
    const status = async (route: string) => (await fetch(url + route)).status;
    const post = async (type: string) =>
      (await fetch(`${url}/events`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ type }) })).status;
    expect(await post('before')).toBe(201);

    const room = path.join(`/proc/${service.pid}/root`, folder, 'room');
    fill(room);
    let acknowledged = 1;
    // What the log has room for is still stored.
    while ((await post('full')) === 201) acknowledged++;
    await expect.poll(() => status('/readyz')).toBe(503);
    const statuses = new Set<number>();
    for (const until = performance.now() + WATCHED_MS; performance.now() < until; )
      statuses.add(await status('/readyz'));
    expect([...statuses]).toEqual([503]);
    expect(service.lines('the event store works again')).toEqual([]);
    expect(await status('/livez')).toBe(200);

    rmSync(room);
    await expect.poll(() => status('/readyz')).toBe(200);
    expect(service.lines('the event store works again')).toHaveLength(1);
    expect(await post('after')).toBe(201);
    expect(await all(url, '/events?limit=1000')).toHaveLength(acknowledged + 1);
  });
});

describe('an SQLite database that is tried out', () => {
  async function opened() {
    const file = databaseFile();
    const store = await openStore(`file:${file}`, { mayCreate: true, readersMax: 1, doubt: () => {} });
    onTestFinished(() => store.close());
    const logBytes = () => statSync(`${file}-wal`).size;
    const grownBy = async (work: () => Promise<unknown>) => {
      const before = logBytes();
      await work();
      return logBytes() - before;
    };
    return { file, store, grownBy };
  }

  it('needs as much room as an event', async () => {
    const { store, grownBy } = await opened();
    const commit = (name: string) =>
      store.commit([{ values: [name, 'a', 1, 0, null], key: { name, bodyHash: new Uint8Array(32) } }]);
    await commit('first');
    const ofTrial = await grownBy(() => store.tryWriting());
    const ofEvent = await grownBy(() => commit('second'));
    expect(ofEvent).toBeGreaterThan(0);
    expect(ofTrial).toBeGreaterThanOrEqual(ofEvent);
  });

  it('does not grow by it', async () => {
    const { file, store } = await opened();
    const database = new DatabaseSync(file, { readOnly: true });
    onTestFinished(() => database.close());
    const pages = () => database.prepare('PRAGMA page_count').get();
    const before = pages();
    for (let time = 0; time < 100; time++) await store.tryWriting();
    expect(pages()).toEqual(before);
    expect(await store.page({ after: 0, type: undefined, limit: 10 })).toMatchObject({ events: [] });
  });
});

/** Takes all the room that is left. */
function fill(file: string): void {
  const descriptor = openSync(file, 'w');
  const bytes = Buffer.alloc(4096);
  try {
    expect(() => {
      for (;;) writeSync(descriptor, bytes);
    }).toThrow('ENOSPC');
  } finally {
    closeSync(descriptor);
  }
}
