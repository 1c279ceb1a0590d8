import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { BusyClients } from '../support/clients.ts';
import { Cluster, childrenOf, gone, isRunning } from '../support/cluster.ts';
import { freePort } from '../support/free-port.ts';
import { ProjectCopy } from '../support/project-copy.ts';
import { RawConnection } from '../support/raw.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

describe('the supervisor', () => {
  it('runs a worker per core, without serving itself', async () => {
    const service = new Cluster({ WORKERS: 'auto' });
    const { availableParallelism } = await import('node:os');
    const url = await service.started(availableParallelism());
    expect(service.workers).toHaveLength(availableParallelism());
    const { pid } = (await (await fetch(`${url}/health`)).json()) as { pid: number };
    expect(service.workers).toContain(pid);
    expect(pid).not.toBe(service.pid);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('on %s lets all workers drain, then exits with 0', async (signal) => {
    const service = new Cluster();
    const url = await service.started(2);
    const clients = Array.from({ length: 6 }, () => new RawConnection(url).send(get('/greet') + get('/slow?ms=1000')));
    for (const client of clients) await client.until('Hello World !!!');
    service.child.kill(signal);
    for (const client of clients) expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(await service.ended()).toBe(0);
    expect(service.lines('drained')).toHaveLength(2);
  });

  it.each([
    ['SIGINT', 'Ctrl-C of a terminal'],
    ['SIGQUIT', 'Ctrl-\\ of a terminal'],
    ['SIGTERM', 'SIGTERM of a service manager'],
  ] as const)('lets its workers drain on the %s (%s), which all of them get', async (signal, _from) => {
    const service = new Cluster();
    const url = await service.started(2);
    const client = new RawConnection(url).send(get('/greet') + get('/slow?ms=1000'));
    await client.until('Hello World !!!');
    for (const pid of [...service.workers, service.pid]) process.kill(pid, signal);
    expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(await service.ended()).toBe(0);
  });

  it('does not take its own stop for impatience where a worker drains already', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    const clients = Array.from({ length: 6 }, () => new RawConnection(url).send(get('/greet') + get('/slow?ms=2500')));
    for (const client of clients) await client.until('Hello World !!!');
    for (const pid of service.workers) process.kill(pid, 'SIGTERM');
    await service.logged('draining', 2);
    await sleep(600); // Longer than what counts as the same signal, arriving twice.
    service.child.kill('SIGTERM');
    for (const client of clients) expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(await service.ended()).toBe(0);
  });

  it('keeps to DRAIN_DELAY_MS and to the whole time after it when all get the signal', async () => {
    const service = new Cluster({ DRAIN_DELAY_MS: '1500', DRAIN_TIMEOUT_MS: '3000', DRAIN_IDLE_MS: '100' });
    const client = new RawConnection(await service.started(2)).send(get('/greet') + get('/slow?ms=3500'));
    await client.until('Hello World !!!');
    for (const pid of [...service.workers, service.pid]) process.kill(pid, 'SIGTERM');
    expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(await service.ended()).toBe(0);
  });

  it('exits with 1 when a worker had to cut a request', async () => {
    const service = new Cluster({ DRAIN_TIMEOUT_MS: '600', DRAIN_IDLE_MS: '100' });
    const client = new RawConnection(await service.started(2)).send(get('/greet') + get('/never'));
    await client.until('Hello World !!!');
    service.child.kill('SIGTERM');
    await client.closed();
    expect(await service.ended()).toBe(1);
    expect(service.output).toContain('"route":"/never"');
  });

  it('ends everything at once with 1 on a second signal', async () => {
    const service = new Cluster();
    const client = new RawConnection(await service.started(2)).send(get('/greet') + get('/never'));
    await client.until('Hello World !!!');
    service.child.kill('SIGTERM');
    await service.until(() => service.lines('draining').length === 2);
    await sleep(600); // Longer than what counts as the same signal, arriving twice.
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(1);
    await Promise.all(service.workers.map(gone));
  });

  it('replaces a worker that is killed, and serves on meanwhile', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    const [first = 0] = service.workers;
    process.kill(first, 'SIGKILL');
    await service.until(() => service.lines('worker lost: replacing it').length === 1);
    expect((await fetch(`${url}/greet`)).status).toBe(200);
    await service.started(3);
    expect(isRunning(first)).toBe(false);
  });

  it('loses no request in ten replacements under busy clients', async () => {
    const service = new Cluster({ REQUEST_LOG: 'false' });
    const url = await service.started(2);
    const keepers = new BusyClients({ url, clients: 16, kind: 'keep-alive' });
    const openers = new BusyClients({ url, clients: 16, kind: 'new connection each' });
    for (let replacement = 0; replacement < 10; replacement++) {
      process.kill(service.workers.at(-2) ?? 0, 'SIGTERM');
      await service.started(replacement + 3);
      await Promise.all([keepers.asked(50), openers.asked(50)]);
    }
    await Promise.all([keepers.stop(), openers.stop()]);
    expect([...keepers.failures, ...openers.failures]).toEqual([]);
    expect(service.lines('drained')).toHaveLength(10);
    expect(keepers.answered + openers.answered).toBeGreaterThan(2000);
  });

  it('keeps clients waiting, instead of refusing them, when all workers die at once', async () => {
    const service = new Cluster({ START_TAKES_MS: '500' });
    const url = await service.started(2);
    const { workers } = service;
    for (const pid of workers) process.kill(pid, 'SIGKILL');
    await Promise.all(workers.map(gone));
    const answer = fetch(`${url}/greet`);
    expect(service.workers).toHaveLength(2);
    expect((await answer).status).toBe(200);
  });

  it('refuses clients while no worker can be started, and serves again as soon as one can', async () => {
    const copy = new ProjectCopy();
    const service = new Cluster({}, { root: copy.root });
    const url = await service.started(2);
    const mend = copy.change('src/app/app.ts', (text) => `${text}\nthrow new Error('broken');\n`);
    for (const pid of service.workers) process.kill(pid, 'SIGKILL');
    await expect.poll(() => fetch(url).catch(({ cause }) => cause.code)).toBe('ECONNREFUSED');
    mend();
    await service.started(3);
    expect((await fetch(`${url}/greet`)).status).toBe(200);
  });

  it('starts another worker as soon as one begins to leave by itself', async () => {
    const service = new Cluster();
    const client = new RawConnection(await service.started(2)).send(get('/greet') + get('/slow?ms=6000'));
    await client.until('Hello World !!!');
    for (const pid of service.workers) process.kill(pid, 'SIGTERM');
    await service.started(4);
    expect(service.workers.filter(isRunning).length).toBeGreaterThanOrEqual(3);
    expect(client.received).not.toContain('slow, but whole');
    expect(await client.closed()).toMatch(/slow, but whole$/);
  });

  it('ends when another service takes the port first, and says so', async () => {
    const PORT = String(await freePort());
    const rivals = [new Cluster({ PORT }), new Cluster({ PORT })];
    const loser = await Promise.race(rivals.map(async (service) => ({ code: await service.ended(), service })));
    expect(loser.code).toBe(1);
    expect(loser.service.output).toContain('the port is taken');
    const winner = rivals.find((service) => service !== loser.service);
    expect((await fetch(`${await winner?.started(2)}/greet`)).status).toBe(200);
  });

  it('does not kill what became ready while it stood still itself', async () => {
    const service = new Cluster({ START_TIMEOUT_MS: '8000' });
    await service.started(2);
    service.child.kill('SIGHUP');
    await expect.poll(() => childrenOf(service.pid).length).toBe(3);
    service.child.kill('SIGSTOP');
    await service.ready(3);
    await sleep(8000); // START_TIMEOUT_MS
    service.child.kill('SIGCONT');
    await service.logged('reload: done');
    expect(service.lines('killed a worker')).toEqual([]);
  });

  it('leaves no worker behind that was just starting when it is killed itself', async () => {
    const copy = new ProjectCopy();
    const service = new Cluster({}, { root: copy.root });
    await service.started(2);
    copy.change('src/app/app.ts', (text) => `${text}\nawait new Promise(() => setInterval(() => {}, 1000));\n`);
    service.child.kill('SIGHUP');
    await expect.poll(() => childrenOf(service.pid).length).toBe(3);
    const workers = childrenOf(service.pid);
    service.child.kill('SIGKILL');
    await Promise.all(workers.map(gone));
  });

  it('cuts nothing short when it is killed while a worker is too busy to notice', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    const clients = Array.from({ length: 8 }, () => new RawConnection(url).send(get('/greet') + get('/slow?ms=5000')));
    for (const client of clients) await client.until('Hello World !!!');
    for (const pid of service.workers) process.kill(pid, 'SIGSTOP');
    service.child.kill('SIGKILL');
    await sleep(1500); // Longer than the time between two heartbeats.
    for (const pid of service.workers) process.kill(pid, 'SIGCONT');
    for (const client of clients) expect(await client.closed()).toMatch(/slow, but whole$/);
    await Promise.all(service.workers.map(gone));
  });

  it('leaves no worker behind when it is killed itself', async () => {
    const service = new Cluster();
    const client = new RawConnection(await service.started(2)).send(get('/greet') + get('/slow?ms=500'));
    await client.until('Hello World !!!');
    service.child.kill('SIGKILL');
    expect(await client.closed()).toMatch(/slow, but whole$/);
    await Promise.all(service.workers.map(gone));
  });

  it('kills a worker that is not ready in time, and gives up after several', async () => {
    const service = new Cluster({
      START_TIMEOUT_MS: '100',
      NODE_OPTIONS: '--import=data:text/javascript,while(process.argv[1].includes(`worker`));',
    });
    expect(await service.ended()).toBe(1);
    expect(service.lines('killed a worker').length).toBeGreaterThanOrEqual(5);
    expect(service.lines('the service cannot start')).toHaveLength(1);
  });
});
