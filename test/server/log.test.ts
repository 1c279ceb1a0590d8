import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { setTimeout as setTimer } from 'node:timers';
import { setTimeout } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { LogLevel } from '../../src/server/log-level.ts';
import { Cluster, gone, greet } from '../support/cluster.ts';
import { freePort } from '../support/free-port.ts';
import { keptLog } from '../support/log.ts';
import { ROOT } from '../support/paths.ts';
import { Service } from '../support/processes.ts';

const ENTRY = 'src/server/main.js';

it('the service goes on when nobody reads its log any more', async () => {
  const service = new Service(ENTRY);
  const url = await service.ready();
  service.child.stdout?.destroy();
  for (let request = 0; request < 20; request++) expect((await fetch(`${url}/greet`)).status).toBe(200);
  service.child.kill('SIGTERM');
  expect(await service.ended()).toBe(0);
});

it('the service goes on when the reader of its log stops, and says later how many lines are missing', async () => {
  const service = new Service(ENTRY);
  const url = await service.ready();
  service.child.stdout?.pause();
  let asked = 0;
  const ask = async () => {
    await (await fetch(`${url}/${'x'.repeat(200)}`)).text();
    asked++;
  };
  while (asked < 2000) await ask();
  service.child.stdout?.resume();
  const told = () =>
    service.lines('log lines are missing here').reduce((sum, { dropped }) => sum + Number(dropped), 0) +
    service.lines('request').length;
  // The number is told with the next line that can be written; the last line may still be on its way to us.
  const untold = async () => {
    await ask();
    await setTimeout(20);
    return asked - told();
  };
  await expect.poll(untold, { timeout: 10_000 }).toBe(0);
  expect(service.lines('request').length).toBeLessThan(asked);
  expect(service.output).toContain('The log cannot be written (EAGAIN)');
});

it('a reader that is alive, but slow, keeps the service waiting for no more than 50 ms in any second', async () => {
  const writing = `
    import { StandardOutput } from './src/server/standard-output.ts';
    const output = new StandardOutput();
    const line = 'x'.repeat(4095) + '\\n';
    const startedAt = performance.now();
    let lines = 0;
    let waitedMs = 0;
    const timer = setInterval(() => {
      const at = performance.now();
      for (let more = 0; more < 4; more++, lines++) output.write(line);
      waitedMs += performance.now() - at;
      if (at - startedAt < 3000) return;
      clearInterval(timer);
      console.error(JSON.stringify({ lines, waitedMs }));
    }, 1);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', writing], { cwd: ROOT });
  onTestFinished(() => void child.kill('SIGKILL'));
  let read = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    read += text;
    child.stdout.pause();
    setTimer(() => child.stdout.resume(), 100);
  });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    told += text;
  });
  await once(child, 'close');
  const { lines, waitedMs } = JSON.parse(told.match(/^{.*}$/m)?.[0] ?? '');
  expect(waitedMs).toBeLessThan(1000);
  // It is not that nobody read: those that are missing are counted, but for the last, after which nothing was written.
  const missing = [...read.matchAll(/"dropped":(\d+)/g)].reduce((sum, [, dropped]) => sum + Number(dropped), 0);
  const whole = read.match(/^x{4095}$/gm)?.length ?? 0;
  expect(missing).toBeGreaterThan(1000);
  expect(whole).toBeGreaterThan(50);
  expect(whole + missing).toBeLessThanOrEqual(lines);
  expect(told.match(/The log cannot be written/g)).toHaveLength(1);
});

it('a cluster goes on when the reader of its log stops, also after workers have come and gone', async () => {
  const service = new Cluster();
  const url = await service.started(2);
  process.kill(service.workers[0] ?? 0, 'SIGKILL');
  await service.started(3);
  service.child.kill('SIGHUP');
  await service.logged('reload: done');
  await service.logged('drained', 2);
  service.child.stdout?.pause();
  const ask = async () => (await fetch(`${url}/${'x'.repeat(200)}`, { signal: AbortSignal.timeout(10_000) })).status;
  for (let asked = 0; asked < 2000; asked++) expect(await ask()).toBe(404);
  service.child.kill('SIGTERM');
  await Promise.all(service.workers.map(gone));
  service.child.stdout?.resume();
  expect(await service.ended()).toBe(0);
});

it('the service goes on when the disk of its log is full', async () => {
  const port = await freePort();
  const service = new Service(ENTRY, { PORT: String(port) }, { stdout: openSync('/dev/full', 'w') });
  const ask = async () => (await fetch(`http://127.0.0.1:${port}/greet`)).text();
  await expect.poll(ask, { timeout: 20_000 }).toBe('Hello World !!!');
  for (let request = 0; request < 20; request++) expect(await ask()).toBe('Hello World !!!');
  expect(service.output).toContain('The log cannot be written (ENOSPC)');
  service.child.kill('SIGTERM');
  expect(await service.ended()).toBe(0);
});

it.each(['SIGTERM', 'a failure', 'a second signal'])('no line is lost when the process ends by %s', async (why) => {
  const service = new Service(ENTRY);
  const url = await service.ready();
  for (let request = 0; request < 50; request++) await (await fetch(`${url}/greet`)).text();
  if (why === 'a second signal') {
    fetch(`${url}/never`).catch(() => {});
    service.child.kill('SIGTERM');
    await setTimeout(600); // Longer than what counts as the same signal, arriving twice.
  }
  if (why === 'a failure') await (await fetch(`${url}/throw-later`)).text();
  else service.child.kill('SIGTERM');
  await service.ended();
  expect(service.lines('request').filter(({ route }) => route === '/greet')).toHaveLength(50);
});

it('SIGUSR2 switches to the level debug and back', async () => {
  const port = await freePort();
  const quiet = new Service(ENTRY, { LOG_LEVEL: 'warn', PORT: String(port) });
  const ask = async () => (await (await fetch(`http://127.0.0.1:${port}/greet`)).text()).length;
  await expect.poll(ask, { timeout: 20_000 }).toBeGreaterThan(0);
  expect(quiet.log).toEqual([]);
  quiet.child.kill('SIGUSR2');
  await quiet.until(() => quiet.lines('log level').length === 1);
  expect(quiet.lines('log level')).toMatchObject([{ level: 'info', now: 'debug' }]);
  await ask();
  await quiet.until(() => quiet.lines('request').length === 1);
  quiet.child.kill('SIGUSR2');
  // Back at the level at which that is not told: what comes next is not either.
  await expect
    .poll(async () => {
      const before = quiet.lines('request').length;
      await ask();
      return quiet.lines('request').length - before;
    })
    .toBe(0);
});

it('SIGUSR2 does so in all workers, those that come later included, and has requests logged that otherwise are not', async () => {
  const service = new Cluster({ REQUEST_LOG: 'false' });
  const url = await service.started(2);
  await greet(url, 10);
  service.child.kill('SIGUSR2');
  await service.logged('log level', 3);
  expect(service.lines('request')).toEqual([]);
  const heardOf = async (...workers: string[]) => {
    const heard = () => new Set(service.lines('request').map(({ worker }) => worker));
    while (!heard().isSupersetOf(new Set(workers))) await greet(url, 10);
  };
  await heardOf('1', '2');
  process.kill(service.workers[0] ?? 0, 'SIGKILL');
  await service.logged('log level', 4);
  await heardOf('3');

  service.child.kill('SIGUSR2');
  await service.logged('log level', 7);
  // Of another route: the line of the last greeting may still come, for it is written at the end of its turn, and that of the level at once.
  const headers = { connection: 'close' };
  for (let request = 0; request < 20; request++) await (await fetch(`${url}/livez`, { headers })).text();
  service.child.kill('SIGTERM');
  await service.ended();
  expect(service.lines('request').filter(({ route }) => route !== '/greet')).toEqual([]);
});

it('the level that is switched to is never above the configured one', () => {
  const { log } = keptLog();
  log.level = 'trace';
  const level = new LogLevel([log]);
  level.toggle();
  expect(log.level).toBe('trace');
  level.toggle();
  expect(log.level).toBe('trace');
});
