import { describe, expect, it, onTestFinished } from 'vitest';
import { BusyClients } from '../support/clients.ts';
import { Cluster, gone } from '../support/cluster.ts';
import { RawConnection } from '../support/raw.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

describe('a worker that runs out of memory', () => {
  it('costs what it was answering, is replaced, and the log says why', async () => {
    const service = new Cluster({ NODE_OPTIONS: `${Cluster.preload} --max-old-space-size=64` });
    const url = await service.started(2);
    const unlucky = new RawConnection(url).send(get('/exhaust-memory'));
    await service.logged('worker lost: replacing it');
    const clients = new BusyClients({ url, clients: 8, kind: 'new connection each' });
    await service.started(3);
    await clients.asked(100);
    await clients.stop();
    expect(await unlucky.closed()).toBe('');
    expect(clients.failures).toEqual([]);
    expect(service.lines('worker lost: replacing it')).toMatchObject([
      { signal: 'SIGABRT', reason: expect.stringContaining('its heap was full') },
    ]);
  });
});

describe('a worker that is blocked', () => {
  it('takes no new connection meanwhile: the others do', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    const blocking = new RawConnection(url).send(get('/greet') + get('/block?ms=8000'));
    await blocking.until('Hello World !!!');
    const clients = new BusyClients({ url, clients: 8, kind: 'new connection each', timeoutMs: 3000 });
    await clients.asked(100);
    expect(blocking.received).not.toContain('done');
    await clients.stop();
    expect(clients.failures).toEqual([]);
    await blocking.until('done');
  });
});

describe('with more connections than it may open files', () => {
  it('refuses further ones, says so, loses no worker, and takes them again when others have gone', async () => {
    const openFiles = 128;
    const service = new Cluster({}, { openFiles });
    const url = await service.started(2);
    expect(service.log).toContainEqual(expect.objectContaining({ affordable: expect.any(Number), level: 'warn' }));
    const { workers } = service;
    const crowd = Array.from({ length: 3 * openFiles }, () => new RawConnection(url));
    onTestFinished(() => crowd.forEach(({ socket }) => void socket.destroy()));
    await Promise.any(crowd.map((connection) => connection.closed()));
    await service.logged('too many connections: closing further ones at once');

    // Those that were taken are answered, several heartbeats later as well.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const taken = crowd.filter((connection) => !connection.isClosed);
    // As many as one worker takes: the other may be late.
    expect(taken.length).toBeGreaterThan(openFiles / 4);
    for (const connection of taken) await connection.send(get('/greet')).until('Hello World !!!');

    for (const connection of taken) connection.socket.destroy();
    await expect
      .poll(() =>
        fetch(`${url}/greet`).then(
          ({ status }) => status,
          () => 'refused',
        ),
      )
      .toBe(200);
    expect(service.workers).toEqual(workers);
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(0);
    await Promise.all(workers.map(gone));
  });
});
