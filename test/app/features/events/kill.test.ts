import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Cluster, gone, isRunning } from '../../../support/cluster.ts';
import { Service } from '../../../support/processes.ts';
import { expectWhole, PostingClients } from './posting-clients.ts';
import { all, databaseFile, type Event, lines, NDJSON, onEachStore } from './support.ts';

/** `KILLS=50 npx vitest run test/app/features/events/kill.test.ts` is the long form. */
const KILLS = Number(process.env.KILLS ?? 4);

/** After the first acknowledgement, each kill comes at a random moment of this time. */
const KILLED_WITHIN_MS = 500;

onEachStore(({ newUrl }) => {
  it('kill -9 of all processes under load loses nothing that was acknowledged, stores nothing twice or in part, and the totals are those of the events', async () => {
    const databaseUrl = await newUrl();
    const acknowledged: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const service = new Cluster({ DATABASE_URL: databaseUrl, REQUEST_LOG: 'false' });
      const url = await service.started(2);
      const clients = new PostingClients(url, `${kill}`);
      await clients.acknowledgedMore(1);
      await sleep(Math.random() * KILLED_WITHIN_MS);
      const { workers } = service;
      for (const pid of [service.pid, ...workers]) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
      await Promise.all([service.ended(), ...workers.map(gone), clients.ended()]);
      expect(clients.failures.filter((failure) => /^\d/.test(failure))).toEqual([]);
      acknowledged.push(...clients.acknowledged);
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS);
    const service = new Service('src/server/main.js', { DATABASE_URL: databaseUrl });
    await expectWhole(await service.ready(), acknowledged);
  }, 600_000);
});

describe('a process whose store cannot be opened', () => {
  it.each(['src/server/main.js', 'src/cluster/main.js'])('%s says why, and ends with 1', async (entry) => {
    const file = databaseFile();
    mkdirSync(file, { recursive: true });
    const service = new Service(entry, { DATABASE_URL: `file:${file}`, WORKERS: '2' });
    expect(await service.ended()).toBe(1);
    expect(service.output).toContain('Cannot open the event store');
    expect(service.output).toContain('check that it is a file');
    expect(service.lines('ready')).toEqual([]);
  });
});

describe('a disk without room', () => {
  // The kernel lets the process write files of this size only: to SQLite that is a disk that is full.
  it.runIf(process.platform === 'linux')('refuses events, acknowledges none, and keeps what it has', async () => {
    const file = databaseFile();
    const service = new Service('src/server/main.js', { DATABASE_URL: `file:${file}` }, { fileBlocks: 512 });
    const url = await service.ready();
    const post = async (name: string) => {
      const events = Array.from({ length: 100 }, (_, index) => ({ id: `${name} ${index}`, type: 'a', value: 1 }));
      return (await fetch(`${url}/events`, { method: 'POST', headers: NDJSON, body: lines(events) })).status;
    };
    let acknowledged = 0;
    for (let status = 201; status === 201; ) {
      status = await post(`batch ${acknowledged}`);
      if (status === 201) acknowledged++;
      else expect(status).toBe(503);
    }
    expect(acknowledged).toBeGreaterThan(0);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    service.child.kill('SIGKILL');
    await service.ended();
    const after = new Service('src/server/main.js', { DATABASE_URL: `file:${file}` });
    const events = await all<Event>(await after.ready(), '/events?limit=1000');
    expect(events).toHaveLength(acknowledged * 100);
  });
});
