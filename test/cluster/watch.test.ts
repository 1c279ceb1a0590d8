import { describe, expect, it } from 'vitest';
import { Cluster, gone, isRunning } from '../support/cluster.ts';
import { ProjectCopy } from '../support/project-copy.ts';

describe('scaling', () => {
  it('adds a worker on SIGTTIN and takes one away on SIGTTOU, but not the last', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    service.child.kill('SIGTTIN');
    await service.started(3);
    for (let less = 0; less < 3; less++) service.child.kill('SIGTTOU');
    await service.logged('drained', 1);
    await expect.poll(() => service.workers.filter(isRunning).length).toBeLessThanOrEqual(2);
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

  it('replaces a worker that has grown too large the gentle way', async () => {
    const service = new Cluster({ MAX_WORKER_RSS_MB: '30' });
    await service.started(2);
    await service.logged('worker above MAX_WORKER_RSS_MB: replacing it');
    await service.started(3);
    await service.logged('drained');
    expect(service.lines('drained')[0]).toMatchObject({ signal: 'replaced', cut: 0 });
  });
});
