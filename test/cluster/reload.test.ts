import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BusyClients, ClientsOfEveryKind } from '../support/clients.ts';
import { Cluster, childrenOf, gone } from '../support/cluster.ts';
import { ProjectCopy } from '../support/project-copy.ts';
import { RawConnection } from '../support/raw.ts';

const CHANGED = 'src/app/operations/health.ts';

const live = async (url: string) => (await fetch(`${url}/livez`)).text();
const health = async (url: string) => (await (await fetch(`${url}/health`)).json()) as { lastReload?: object };

describe('a reload (SIGHUP)', () => {
  it('replaces every worker, with the code that is on disk now', async () => {
    const copy = new ProjectCopy();
    const service = new Cluster({}, { root: copy.root });
    const url = await service.started(2);
    const before = service.workers;
    copy.change(CHANGED, (text) => text.replace("status: 'ok' as const", "status: 'new' as const"));
    service.child.kill('SIGHUP');
    await service.logged('reload: done');
    await Promise.all(before.map(gone));
    expect(await live(url)).toBe('{"status":"new"}');
    expect((await health(url)).lastReload).toMatchObject({ result: 'ok', ms: expect.any(Number) });
  });

  it('loses no request of clients of every kind', async () => {
    const service = new Cluster({ REQUEST_LOG: 'false' });
    const url = await service.started(2);
    const clients = new ClientsOfEveryKind({ url, clients: 8 });
    for (let reload = 1; reload <= 3; reload++) {
      service.child.kill('SIGHUP');
      await service.logged('reload: done', reload);
    }
    await clients.stop();
    expect(clients.failures).toEqual([]);
    expect(service.workers).toHaveLength(8);
  });

  it('does not make the service look unready to a balancer that asks on a kept connection', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    const readyz = 'GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n';
    const connections = Array.from({ length: 6 }, () => new RawConnection(url).send(readyz));
    for (const connection of connections) await connection.until('{"status":"ready"}');
    service.child.kill('SIGHUP');
    await service.logged('draining', 2);
    for (const connection of connections) {
      connection.received = '';
      connection.send(readyz);
      expect(await connection.closed()).toMatch(/^HTTP\/1.1 200 .*{"status":"draining"}$/s);
    }
  });

  it('lets the old workers go when all new ones are there, so that each client connects again only once', async () => {
    const service = new Cluster({ WORKERS: '3' });
    await service.started(3);
    service.child.kill('SIGHUP');
    await service.logged('draining', 3);
    const readyAt = service.lines('worker ready').map(({ time }) => Number(time));
    expect(readyAt).toHaveLength(6);
    for (const { time } of service.lines('draining')) expect(Number(time)).toBeGreaterThanOrEqual(Math.max(...readyAt));
  });

  it('that is asked for during another follows it, once', async () => {
    const service = new Cluster();
    await service.started(2);
    service.child.kill('SIGHUP');
    await service.logged('reload: starting');
    for (let more = 1; more <= 3; more++) {
      service.child.kill('SIGHUP');
      await service.logged('reload: another one follows when this one is done', more);
    }
    await service.logged('reload: done', 2);
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(0);
    expect(service.lines('reload: starting')).toHaveLength(2);
    expect(service.workers).toHaveLength(6);
  });

  it('gives way to a stop, and does not keep it waiting for idle clients', async () => {
    const service = new Cluster({ RELOAD_IDLE_MS: '600000', DRAIN_IDLE_MS: '100' });
    const url = await service.started(2);
    // Kept connections that stay idle, on both workers.
    for (let client = 0; client < 10; client++) await live(url);
    service.child.kill('SIGHUP');
    await service.logged('reload: done');
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(0);
  });
});

describe('after it', () => {
  it('as many workers run as are wanted, where some were taken away meanwhile', async () => {
    const service = new Cluster({ WORKERS: '3' });
    await service.started(3);
    service.child.kill('SIGHUP');
    await service.logged('reload: starting');
    for (let less = 1; less <= 2; less++) {
      service.child.kill('SIGTTOU');
      await service.logged('scaling', less);
    }
    await service.logged('reload: done');
    await expect.poll(() => childrenOf(service.pid).length).toBe(1);
  });

  it('as many workers run as are wanted, where one was just about to be started again', async () => {
    const copy = new ProjectCopy();
    const service = new Cluster({ REQUEST_LOG: 'false' }, { root: copy.root });
    await service.started(2);
    const mend = copy.change(CHANGED, (text) => `${text}\nthrow new Error('broken');\n`);
    for (const pid of service.workers) process.kill(pid, 'SIGKILL');
    // By then the next start is seconds away.
    await service.logged('worker lost: replacing it', 10);
    mend();
    service.child.kill('SIGHUP');
    await service.logged('reload: done');
    const waits = service.lines('worker lost: replacing it').map(({ waitMs }) => Number(waitMs));
    await new Promise((resolve) => setTimeout(resolve, Math.max(...waits)));
    expect(childrenOf(service.pid)).toHaveLength(2);
  });
});

describe('a build that is broken', () => {
  it.each([
    ['has a syntax error', (text: string) => `${text}\nconst = 1;\n`, 'before it was ready'],
    [
      'throws at import',
      (text: string) => `${text}\nthrow new Error('broken');\n`,
      'before it was ready; why is on standard error',
    ],
    [
      'never becomes ready',
      (text: string) => `${text}\nawait new Promise(() => setInterval(() => {}, 1000));\n`,
      'it was not ready in time',
    ],
    [
      'dies after a second',
      (text: string) => `${text}\nsetTimeout(() => process.exit(3), 1000);\n`,
      'with code 3 soon after it was ready',
    ],
  ])('because it %s stops the reload, and the old workers stay', async (_what, damage, reason) => {
    const copy = new ProjectCopy();
    const service = new Cluster({ START_TIMEOUT_MS: '6000', REQUEST_LOG: 'false' }, { root: copy.root });
    const url = await service.started(2);
    const before = service.workers;
    const clients = new BusyClients({ url, clients: 8, kind: 'keep-alive' });
    const mend = copy.change(CHANGED, damage);
    service.child.kill('SIGHUP');
    await service.logged('reload: failed, the old workers stay');
    await clients.asked(100);
    const { pid } = (await (await fetch(`${url}/health`)).json()) as { pid: number };
    expect(before).toContain(pid);
    expect((await health(url)).lastReload).toMatchObject({ result: 'failed', reason: expect.stringContaining(reason) });

    mend();
    service.child.kill('SIGHUP');
    await service.logged('reload: done');
    await clients.stop();
    expect((await health(url)).lastReload).toMatchObject({ result: 'ok' });
    // What a worker was answering when it died of its own is lost; with the others nothing is.
    expect(clients.failures.length).toBeLessThanOrEqual(reason.includes('soon') ? 8 : 0);
  });

  it('is withdrawn also where only the last of its workers does not start: no two versions serve beside each other', async () => {
    const copy = new ProjectCopy();
    const service = new Cluster({ WORKERS: '3' }, { root: copy.root });
    const url = await service.started(3);
    const before = service.workers;
    const clients = new ClientsOfEveryKind({ url, clients: 2 });
    const started = (number: number) => JSON.stringify(path.join(copy.root, `started-${number}`));
    copy.change(
      CHANGED,
      (text) => `${text}
const { existsSync, writeFileSync } = await import('node:fs');
if (!existsSync(${started(1)})) writeFileSync(${started(1)}, '');
else if (!existsSync(${started(2)})) writeFileSync(${started(2)}, '');
else throw new Error('broken');
`,
    );
    service.child.kill('SIGHUP');
    await service.logged('reload: failed, the old workers stay');
    await Promise.all(service.workers.filter((pid) => !before.includes(pid)).map(gone));
    expect(childrenOf(service.pid).sort()).toEqual(before.sort());
    await clients.stop();
    expect(clients.failures).toEqual([]);
    expect((await health(url)).lastReload).toMatchObject({ result: 'failed' });
    expect(service.lines('worker lost: replacing it')).toEqual([]);
  });

  it('is withdrawn where the first of its workers dies while the last one still starts', async () => {
    const copy = new ProjectCopy();
    const service = new Cluster({}, { root: copy.root });
    await service.started(2);
    const before = service.workers;
    const ready = JSON.stringify(path.join(copy.root, 'dead'));
    copy.change(
      CHANGED,
      (text) => `${text}
const { existsSync, writeFileSync } = await import('node:fs');
const { setTimeout: sleep } = await import('node:timers/promises');
const number = Number(process.argv[2]);
if (number === 3) {
  setTimeout(() => {
    writeFileSync(${ready}, '');
    process.exit(3);
  }, 7000);
}
if (number === 4) {
  while (!existsSync(${ready})) await sleep(50);
  await sleep(500);
}
if (number > 4) throw new Error('broken');
`,
    );
    service.child.kill('SIGHUP');
    await service.logged('reload: failed, the old workers stay');
    await expect.poll(() => childrenOf(service.pid).sort()).toEqual(before.sort());
  });

  it('leaves nobody behind where a worker was taken away meanwhile', async () => {
    const copy = new ProjectCopy();
    const service = new Cluster({ WORKERS: '3', START_TIMEOUT_MS: '5000', RELOAD_IDLE_MS: '300' }, { root: copy.root });
    await service.started(3);
    copy.change(
      CHANGED,
      (text) => `${text}\nif (Number(process.argv[2]) > 5) await new Promise(() => setInterval(() => {}, 1000));\n`,
    );
    service.child.kill('SIGHUP');
    await service.logged('worker ready', 5);
    const [, , , fourth = 0] = service.workers;
    process.kill(fourth, 'SIGKILL');
    await service.logged('worker lost: replacing it');
    service.child.kill('SIGTTOU');
    await service.logged('scaling');
    await service.logged('reload: failed, the old workers stay');
    await expect.poll(() => childrenOf(service.pid), { timeout: 15_000 }).toHaveLength(2);
    for (const child of childrenOf(service.pid)) expect(service.workers.slice(0, 3)).toContain(child);
  });
});
