import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { Recording, SECONDS_KEPT } from '../../src/app/operations/status/recording.ts';
import { Vitals } from '../../src/app/vitals.ts';
import { COPY, Copies } from '../../src/server/copies.ts';
import { SiblingsFolder } from '../../src/server/siblings-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const now = Math.floor(Date.now() / 1000);

/** What another process, which runs, has noted in its file. */
function noted(pid: number, ...seconds: number[]) {
  vi.stubEnv('TMPDIR', temporaryFolder());
  const folder = new SiblingsFolder(process.pid, 'test');
  vi.unstubAllEnvs();
  const vitals = new Vitals();
  vitals.watch({ name: 'requests', kind: 'count', read: () => [0] });
  const longAgo = (now - 2 * SECONDS_KEPT) * 1000;
  const recording = Recording.begin({ pid, worker: 'other', startedAt: longAgo, readyAt: longAgo }, vitals);
  const file = folder.file(`${pid}-${longAgo}${COPY}`);
  const note = (...seconds: number[]) => {
    for (const second of seconds) recording.write(second, [second]);
    writeFileSync(file, recording.bytes);
  };
  note(...seconds);
  return { folder, copies: new Copies(folder), note, isThere: () => existsSync(file) };
}

it('a process that runs is shown again after the clock was set', async () => {
  const { copies, note, isThere } = noted(process.ppid, now - SECONDS_KEPT - 1);
  expect(await copies.read()).toEqual([]);
  expect(isThere()).toBe(true);
  note(now);
  expect((await copies.read())[0]?.recording.lastUntil(now)).toBe(now);
});

it('what a process noted that has ended long ago is removed', async () => {
  const { copies, isThere } = noted(2 ** 30, now - SECONDS_KEPT - 1);
  expect(await copies.read()).toEqual([]);
  expect(isThere()).toBe(false);
});

it('what a process noted that ends while it is read is not missed', async () => {
  const { folder, copies } = noted(process.ppid, now);
  const { file } = folder;
  // Between the moment in which its file is found and that in which it is opened.
  vi.spyOn(folder, 'file').mockImplementationOnce((name) => {
    renameSync(file.call(folder, name), file.call(folder, `${name}.left-0`));
    return file.call(folder, name);
  });
  expect(await copies.read()).toMatchObject([{ recording: { about: { worker: 'other' } }, end: 'left' }]);
});

it('what a process that stood still has written late is read, however late', async () => {
  const { copies, note } = noted(process.ppid, now - 60);
  await copies.read();
  note(now - 59, now - 30, now);
  const [read] = await copies.read();
  expect([now - 59, now - 30, now].map((second) => read?.recording.at(second, 'requests')?.[0])).toEqual([
    now - 59,
    now - 30,
    now,
  ]);
});
