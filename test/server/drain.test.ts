import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { BusyClients } from '../support/clients.ts';
import { Service } from '../support/processes.ts';
import { RawConnection } from '../support/raw.ts';

const ENTRY = 'src/server/main.js';
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

/** A service, and one request in flight on it. */
async function inFlight(path: string, environment: NodeJS.ProcessEnv = {}) {
  const service = new Service(ENTRY, { LOG_LEVEL: 'info', ...environment });
  const url = await service.ready();
  const client = new RawConnection(url).send(get('/greet') + get(path));
  // The first answer is here, so the second request has been read.
  await client.until('Hello World !!!');
  return { service, url, client };
}

describe.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('%s', (signal) => {
  it('lets a request that is in flight finish, then exits with 0', async () => {
    const { service, url, client } = await inFlight('/slow?ms=1000');
    service.child.kill(signal);
    expect(await client.closed()).toMatch(/connection: close\r\n.*slow, but whole$/is);
    expect(await service.ended()).toBe(0);
    await expect(fetch(url)).rejects.toThrow('fetch failed');
    expect(service.lines('drained')).toEqual([
      expect.objectContaining({ signal, connections: 1, inFlight: 1, finished: 1, cut: 0, idleClosed: 0 }),
    ]);
  });
});

describe('a drain', () => {
  it('lets an answer that has begun finish', async () => {
    const { service, client } = await inFlight('/trickle?ms=1000', { DRAIN_IDLE_MS: '100' });
    await client.until('first');
    service.child.kill('SIGTERM');
    expect(await client.closed()).toMatch(/first-last$/);
    expect(await service.ended()).toBe(0);
  });

  it('carries out no request behind the answer that has announced the end of its connection', async () => {
    const service = new Service(ENTRY, { DRAIN_DELAY_MS: '500', DRAIN_IDLE_MS: '100' });
    const url = await service.ready();
    const connection = new RawConnection(url);
    connection.send('GET /greet HTTP/1.1\r\nHost: x\r\n\r\n');
    await connection.until('Hello World !!!');
    service.child.kill('SIGTERM');
    await service.until(({ log }) => log.some(({ msg }) => msg === 'draining'));
    connection.send('GET /trickle?ms=300 HTTP/1.1\r\nHost: x\r\n\r\n');
    await connection.until('first');
    connection.send('GET /throw-later HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await connection.closed()).toMatch(/Connection: close.*first-last$/is);
    expect(await service.ended()).toBe(0);
    expect(service.lines('uncaught')).toEqual([]);
  });

  it('answers a last request on a connection that was idle', async () => {
    const service = new Service(ENTRY);
    const client = new RawConnection(await service.ready()).send(get('/greet'));
    await client.until('!!!');
    service.child.kill('SIGTERM');
    await service.until(() => service.lines('draining').length > 0);
    client.received = '';
    client.send(get('/greet/again'));
    expect(await client.closed()).toMatch(/Connection: close\r\n.*Hello again!!!$/s);
    expect(await service.ended()).toBe(0);
  });

  it('waits for idle clients as long as others still come', async () => {
    const service = new Service(ENTRY, { DRAIN_IDLE_MS: '1500' });
    const url = await service.ready();
    const clients = Array.from({ length: 3 }, () => new RawConnection(url).send(get('/greet')));
    for (const client of clients) await client.until('!!!');
    service.child.kill('SIGTERM');
    // Three seconds after the signal, the last one still finds somebody.
    for (const client of clients) {
      await sleep(1000);
      client.received = '';
      client.send(get('/greet/late'));
      expect(await client.closed()).toContain('Hello late!!!');
    }
    expect(await service.ended()).toBe(0);
  });

  it('closes connections that stay idle, and does not take that for a failure', async () => {
    const service = new Service(ENTRY, { DRAIN_IDLE_MS: '300' });
    const url = await service.ready();
    const idle = new RawConnection(url).send(get('/greet'));
    const silent = new RawConnection(url);
    await idle.until('!!!');
    service.child.kill('SIGTERM');
    await Promise.all([idle.closed(), silent.closed()]);
    expect(await service.ended()).toBe(0);
    expect(service.lines('drained')).toEqual([expect.objectContaining({ idleClosed: 2, cut: 0 })]);
  });

  it('cuts a request that never ends at the deadline, names it, and exits with 1', async () => {
    const { service, client } = await inFlight('/never?secret=1', { DRAIN_TIMEOUT_MS: '600', DRAIN_IDLE_MS: '100' });
    service.child.kill('SIGTERM');
    await client.closed();
    expect(await service.ended()).toBe(1);
    const [line] = service.lines('drained; the requests still open at the deadline were cut');
    expect(line).toMatchObject({
      level: 'error',
      cut: 1,
      cutRequests: [{ method: 'GET', route: '/never', requestId: expect.any(String) }],
    });
  });

  it('is not held up by a client that never finishes its request', async () => {
    const service = new Service(ENTRY, { DRAIN_TIMEOUT_MS: '800', DRAIN_IDLE_MS: '100' });
    const client = new RawConnection(await service.ready()).send('GET /greet HTTP/1.1\r\nHost:');
    service.child.kill('SIGTERM');
    await client.closed();
    expect(await service.ended()).toBe(0);
  });

  it('goes on accepting for DRAIN_DELAY_MS while it is not ready', async () => {
    const service = new Service(ENTRY, { DRAIN_DELAY_MS: '1000' });
    const url = await service.ready();
    service.child.kill('SIGTERM');
    await service.until(() => service.lines('draining').length > 0);
    const response = await fetch(`${url}/readyz`);
    expect(response.status).toBe(503);
    expect(response.headers.get('connection')).toBe('close');
    expect((await fetch(`${url}/greet`)).status).toBe(200);
    expect(await service.ended()).toBe(0);
  });

  it('closes no connection that clients are using', async () => {
    const service = new Service(ENTRY, { REQUEST_LOG: 'false' });
    const clients = new BusyClients({ url: await service.ready(), clients: 32, kind: 'keep-alive' });
    await clients.asked(2000);
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(0);
    await clients.stop();
    // New connections find nobody any more. A kept one that fails would be a request lost.
    expect(clients.failures.filter((failure) => !failure.includes('on a new connection'))).toEqual([]);
  });
});

describe('a second signal', () => {
  it('ends it at once with 1', async () => {
    const { service } = await inFlight('/never');
    service.child.kill('SIGTERM');
    await service.until(() => service.lines('draining').length > 0);
    await sleep(600); // Longer than what counts as the same signal, arriving twice.
    service.child.kill('SIGINT');
    expect(await service.ended()).toBe(1);
    expect(service.lines('second signal: exiting at once')).toHaveLength(1);
  });

  it('is the first one when it comes a moment later, as when npm passes on what the terminal sent', async () => {
    const { service, client } = await inFlight('/slow?ms=1000');
    service.child.kill('SIGINT');
    service.child.kill('SIGINT');
    expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(await service.ended()).toBe(0);
  });
});

describe.each(['/throw-later', '/reject-later'])('a failure outside of any request (%s)', (path) => {
  it('is logged as fatal, drains briefly, and exits with 1', async () => {
    const service = new Service(ENTRY);
    const url = await service.ready();
    const client = new RawConnection(url).send(get('/slow?ms=500'));
    await new RawConnection(url).send(get('/greet')).until('!!!');
    await new RawConnection(url).send(get(path)).until(' 200 ');
    expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(await service.ended()).toBe(1);
    expect(service.lines('uncaught failure: draining briefly, then exiting with 1')).toEqual([
      expect.objectContaining({ level: 'fatal', err: expect.objectContaining({ message: expect.any(String) }) }),
    ]);
  });
});

describe('a failure while it drains', () => {
  it('does not cut what is in flight short', async () => {
    const service = new Service(ENTRY);
    const url = await service.ready();
    const client = new RawConnection(url).send(get('/greet') + get('/slow?ms=1500'));
    await client.until('!!!');
    const failing = [new RawConnection(url), new RawConnection(url)];
    for (const connection of failing) await connection.send(get('/greet')).until('!!!');
    service.child.kill('SIGTERM');
    await service.until(() => service.lines('draining').length > 0);
    for (const connection of failing) await connection.send(get('/throw-later')).until(' 200 ');
    expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(await service.ended()).toBe(1);
    expect(service.lines('drained')[0]).toMatchObject({ inFlight: 1, cut: 0 });
  });

  it('to release what the app holds is told, and exits with 1', async () => {
    const service = new Service(ENTRY, { CLOSE_FAILS: '1' });
    await service.ready();
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(1);
    expect(service.lines('the app could not release what it holds')[0]).toMatchObject({
      err: { message: 'the plugin cannot close' },
    });
  });
});
