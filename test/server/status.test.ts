import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { WorkerRow } from '../../src/app/operations/status/messages.ts';
import { Cluster, gone, greet } from '../support/cluster.ts';
import { EXTRA_ROUTES } from '../support/paths.ts';
import { Pm2 } from '../support/pm2.ts';
import { Service } from '../support/processes.ts';
import { Viewer } from '../support/status.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ANSWERED = ['Requests', 'answered'] as const;

const ready = (workers: readonly WorkerRow[]) => workers.filter(({ state }) => state === 'ready');

it.each([2, 4])('any of %d workers tells of all, and of what was before somebody looked', async (count) => {
  const service = new Cluster({ WORKERS: String(count) });
  const url = await service.started(count);
  await greet(url, 60);
  for (let asked = 0; asked < 5; asked++) {
    const viewer = await Viewer.at(url);
    await viewer.until(() => viewer.sum(...ANSWERED) > 59.9);
    expect(viewer.sum(...ANSWERED)).toBeCloseTo(60, 0);
    expect(ready(viewer.situation.workers)).toHaveLength(count);
    expect(viewer.situation.workers.map(({ restarts }) => restarts)).toEqual(new Array(count).fill(0));
  }
});

describe('what is told of the past', () => {
  it('outlives a reload, which is marked while it runs', async () => {
    const service = new Cluster({ RELOAD_IDLE_MS: '500' });
    const url = await service.started(2);
    await greet(url, 20);
    const before = await Viewer.at(url);
    service.child.kill('SIGHUP');
    await before.until(({ situation }) => situation.reloads.length > 0);
    expect(before.situation.reloads).toEqual([{ startedAt: expect.any(Number), ms: null, result: null }]);
    // The one that told it is replaced itself.
    await before.until(() => false);
    await service.logged('reload: done');
    const after = await Viewer.at(url);
    await after.until(({ situation }) => situation.marks.filter(({ what }) => what === 'left').length === 2);
    expect(after.sum(...ANSWERED)).toBeCloseTo(20, 0);
    expect(after.situation.reloads).toEqual([{ startedAt: expect.any(Number), ms: expect.any(Number), result: 'ok' }]);
    expect(after.situation.marks.map(({ worker, what }) => `${worker} ${what}`).sort()).toEqual(
      ['1 left', '1 ready', '2 left', '2 ready', '3 ready', '4 ready'].sort(),
    );
    expect(ready(after.situation.workers).map(({ worker }) => worker)).toEqual(['3', '4']);
  });

  it('outlives a kill, which is marked and counted', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    await greet(url, 30);
    const before = await Viewer.at(url);
    // Noted by both.
    await before.until(() => before.sum(...ANSWERED) > 29.9);
    for (const pid of service.workers) process.kill(pid, 'SIGKILL');
    await service.started(4);
    const after = await Viewer.at(url);
    await after.until(({ situation }) => situation.marks.filter(({ what }) => what === 'lost').length === 2);
    expect(after.sum(...ANSWERED)).toBeCloseTo(30, 0);
    await after.until(({ situation }) => ready(situation.workers).every(({ restarts }) => restarts === 1));
    expect(ready(after.situation.workers).map(({ restarts }) => restarts)).toEqual([1, 1]);
  });

  it('has each scaling, so that a worker that leaves in one is not taken for a fault', async () => {
    const service = new Cluster({ DRAIN_IDLE_MS: '100', RELOAD_IDLE_MS: '100' });
    const url = await service.started(2);
    service.child.kill('SIGTTIN');
    await service.started(3);
    service.child.kill('SIGTTOU');
    await service.logged('scaling', 2);
    const viewer = await Viewer.at(url);
    await viewer.until(({ situation }) => situation.scalings.length === 2);
    const at = expect.any(Number);
    expect(viewer.situation.scalings).toEqual([
      { at, workers: 3 },
      { at, workers: 2 },
    ]);
  });

  it('tells a worker that failed from one that left', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    await fetch(`${url}/throw-later`, { headers: { connection: 'close' } });
    await service.started(3);
    const viewer = await Viewer.at(url);
    await viewer.until(({ situation }) => situation.marks.some(({ what }) => what === 'lost'));
    expect(viewer.situation.marks.filter(({ what }) => what === 'left')).toEqual([]);
  });

  it('is removed when the service ends, and what was killed is when it starts again', async () => {
    const folder = temporaryFolder();
    const left = () => readdirSync(folder, { recursive: true }).filter((name) => /recording|sock/.test(String(name)));
    const killed = new Cluster({ TMPDIR: folder });
    await killed.started(2);
    for (const pid of [killed.pid, ...killed.workers]) process.kill(pid, 'SIGKILL');
    await Promise.all([killed.ended(), ...killed.workers.map(gone)]);
    expect(left()).toHaveLength(4);
    const service = new Cluster({ TMPDIR: folder });
    await service.started(2);
    await expect.poll(() => left().length).toBe(4);
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(0);
    expect(left()).toEqual([]);
  });
});

it('a worker that stands still holds nobody up, and is shown as silent', async () => {
  const service = new Cluster();
  const url = await service.started(2);
  const viewer = await Viewer.at(url);
  let isSeen = false;
  const seen = viewer
    .until(({ situation }) => situation.workers.some(({ silentSeconds }) => silentSeconds >= 3))
    .then(() => {
      isSeen = true;
    });
  for (let turn = 0; !isSeen; turn++) {
    const pid = service.workers[turn % 2] ?? 0;
    process.kill(pid, 'SIGSTOP');
    // If it is the one that tells, it is the other one's turn, before this one has stood still for so long that it is killed.
    await Promise.race([seen, sleep(7000)]);
    process.kill(pid, 'SIGCONT');
  }
  const silent = viewer.situation.workers.filter(({ silentSeconds }) => silentSeconds >= 3);
  expect(silent).toHaveLength(1);
});

it('one process tells of itself, and whoever looks does not keep it from ending', async () => {
  const service = new Service('src/server/main.js', { DRAIN_IDLE_MS: '100' });
  const url = await service.ready();
  await greet(url, 5);
  const viewer = await Viewer.at(url);
  await viewer.until(() => viewer.sum(...ANSWERED) > 4.9);
  const [worker] = viewer.situation.workers;
  expect(worker).toMatchObject({ worker: 'single', pid: service.pid, state: 'ready', restarts: null });
  service.child.kill('SIGTERM');
  await viewer.until(() => false);
  expect(await service.ended()).toBe(0);
  expect(service.lines('drained')[0]).toMatchObject({ cut: 0 });
});

it('where there is no place for files, a worker tells of itself and the log says so', async () => {
  const service = new Cluster({ TMPDIR: '/dev/null' });
  const url = await service.started(2);
  const viewer = await Viewer.at(url);
  await viewer.until(({ points }) => points.size > 1);
  expect(viewer.situation.workers.filter(({ startedAt }) => startedAt !== null)).toHaveLength(1);
});

it('PM2: any instance tells of all, through a reload', async () => {
  const NODE_OPTIONS = `--import=${EXTRA_ROUTES}`;
  const pm2 = new Pm2({ PORT: '0', HOST: '127.0.0.1', WORKERS: '2', TMPDIR: temporaryFolder(), NODE_OPTIONS });
  onTestFinished(() => pm2.kill());
  await pm2.run(['start', 'ecosystem.config.js']);
  const port = () => pm2.log.find(({ msg }) => msg === 'ready')?.port;
  await expect.poll(port).toBeDefined();
  const url = `http://127.0.0.1:${port()}`;
  await expect.poll(async () => ready((await Viewer.at(url)).situation.workers).length).toBe(2);
  await greet(url, 20);
  await pm2.run(['reload', 'ecosystem.config.js']);
  const viewer = await Viewer.at(url);
  await viewer.until(({ situation }) => situation.marks.filter(({ what }) => what === 'left').length === 2);
  await viewer.until(() => viewer.sum(...ANSWERED) > 19.9);
  expect(viewer.sum(...ANSWERED)).toBeCloseTo(20, 0);
  expect(ready(viewer.situation.workers).map(({ restarts }) => restarts)).toEqual([null, null]);
});
