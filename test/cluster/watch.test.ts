import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Cluster, gone, greet, isRunning } from '../support/cluster.ts';
import { ProjectCopy } from '../support/project-copy.ts';
import { RawConnection } from '../support/raw.ts';

describe('scaling', () => {
  it('adds a worker on SIGTTIN and takes one away on SIGTTOU, but not the last', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    service.child.kill('SIGTTIN');
    await service.started(3);
    // One after the other: a signal that is pending already does not come twice.
    for (const workers of [2, 1]) {
      service.child.kill('SIGTTOU');
      await service.until(() => service.lines('scaling').some((line) => line.workers === workers));
    }
    service.child.kill('SIGTTOU');
    await service.logged('cannot scale any further');
    await service.logged('drained', 2);
    await expect.poll(() => service.workers.filter(isRunning).length).toBe(1);
    expect((await fetch(`${url}/greet`)).status).toBe(200);
  });
});

describe('scaling down', () => {
  it('takes the place away in which nobody serves', async () => {
    const copy = new ProjectCopy();
    const service = new Cluster({}, { root: copy.root });
    const url = await service.started(2);
    const mend = copy.change('src/app/app.ts', (text) => `${text}\nthrow new Error('broken');\n`);
    process.kill(service.workers[0] ?? 0, 'SIGKILL');
    await service.logged('worker lost: replacing it', 3);
    service.child.kill('SIGTTOU');
    await service.logged('scaling');
    mend();
    expect((await fetch(`${url}/greet`)).status).toBe(200);
    expect(isRunning(service.workers[1] ?? 0)).toBe(true);
  });
});

describe('the watchdog', () => {
  it('kills a worker that stands still, and replaces it', async () => {
    const service = new Cluster();
    await service.started(2);
    const [stopped = 0] = service.workers;
    process.kill(stopped, 'SIGSTOP');
    await service.logged('killed a worker');
    expect(service.lines('killed a worker')).toMatchObject([{ reason: 'it stood still' }]);
    await gone(stopped);
    await service.started(3);
  });

  it('does not blame the workers when the supervisor itself stood still', async () => {
    const service = new Cluster();
    await service.started(2);
    service.child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 11_000));
    service.child.kill('SIGCONT');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(service.lines('killed a worker')).toEqual([]);
    expect(service.workers.every(isRunning)).toBe(true);
  });

  it('replaces a worker that has grown too large the gentle way; one far too large refuses until then', async () => {
    const service = new Cluster({ MAX_WORKER_RSS_MB: '300' });
    const url = await service.started(2);
    const client = new RawConnection(url).send('GET /hold-memory?mb=400 HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('held');
    const refused = async () => {
      client.received = '';
      return (await client.send('GET /greet HTTP/1.1\r\nHost: x\r\n\r\n').until('\r\n\r\n')).includes(' 503 ');
    };
    await expect.poll(refused, { timeout: 10_000 }).toBe(true);
    await service.logged('worker above MAX_WORKER_RSS_MB: replacing it');
    await service.started(3);
    client.socket.destroy();
    await service.logged('drained');
    expect(service.lines('drained')[0]).toMatchObject({ signal: 'replaced', cut: 0 });
  });

  it('says so where MAX_WORKER_RSS_MB is less than a worker needs when it starts, and neither replaces nor refuses', async () => {
    const service = new Cluster({ MAX_WORKER_RSS_MB: '30' });
    const url = await service.started(2);
    await service.logged('MAX_WORKER_RSS_MB is less than a worker needs when it starts: raise it', 2);
    // Longer than a worker has to live before it is replaced.
    for (const until = performance.now() + 12_000; performance.now() < until; await sleep(100)) await greet(url, 1);
    expect(service.lines('request').every(({ status }) => status === 200)).toBe(true);
    expect(service.workers).toHaveLength(2);
  });
});
