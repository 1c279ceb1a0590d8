import supertest from 'supertest';
import { describe, expect, it } from 'vitest';
import { listeningApp, readyApp } from '../../../support/app.ts';
import { metricOf } from '../../../support/metrics.ts';
import { Service } from '../../../support/processes.ts';
import { RawConnection } from '../../../support/raw.ts';

describe('GET /sort', () => {
  it.each([
    ['/sort?count=1000', 1000],
    ['/sort', 1_000_000],
  ])('%s answers the smallest of so many random numbers', async (url, count) => {
    const { app } = await readyApp();
    const response = await supertest(app.server).get(url).expect(200).expect('cache-control', 'no-store');
    expect(response.body).toEqual({ first: expect.any(Number), count, elapsedMs: expect.any(Number) });
    expect(response.body.first).toBeGreaterThanOrEqual(0);
    expect(response.body.first).toBeLessThan(50 / count);
  });

  it.each(['0', '-1', '1.5', '5000001', 'many', '1e309', ''])('refuses count=%s', async (count) => {
    const { app } = await readyApp();
    const response = await supertest(app.server).get('/sort').query({ count }).expect(400);
    expect(response.body).toMatchObject({ code: 'VALIDATION_FAILED', errors: [{ in: 'query', pointer: '/count' }] });
  });

  it('answers at once with 503 and Retry-After when as much waits as may, and is no failure then', async () => {
    // A worker for each of many cores has one thread, and four may wait for it.
    const { app, log, url } = await listeningApp({ workers: 1024 });
    const responses = await Promise.all(Array.from({ length: 12 }, () => fetch(`${url}/sort?count=3000000`)));
    const refused = responses.filter(({ status }) => status === 503);
    expect(responses.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(4);
    expect(refused.length).toBeGreaterThanOrEqual(6);
    for (const response of refused) {
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(await response.json()).toMatchObject({ status: 503, code: 'QUEUE_FULL' });
    }
    await app.close();
    expect(log.filter(({ err }) => err !== undefined)).toEqual([]);
  });

  it('works again when there was no descriptor for it at first, and the service ends well', async () => {
    const service = new Service('src/server/main.js', {}, { openFiles: 128 });
    const client = new RawConnection(await service.ready());
    const get = async (path: string, end: string) => {
      client.received = '';
      client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect(await client.until(end)).toContain(end);
    };
    await get('/take-descriptors', 'EMFILE');
    await get('/sort?count=10', 'INTERNAL_ERROR');
    await get('/give-descriptors-back', 'given back');
    await get('/sort?count=10', '"count":10');
    await get('/take-descriptors', 'EMFILE');
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(0);
  });

  it('forgets the sort of a client that left', async () => {
    const { app, log, url } = await listeningApp({ workers: 1024 });
    await fetch(`${url}/sort?count=1`);
    const impatient = new AbortController();
    const asking = fetch(`${url}/sort?count=5000000`, { signal: impatient.signal });
    await expect.poll(() => app.requests.open.length).toBe(1);
    impatient.abort();
    await expect(asking).rejects.toThrow('aborted');
    await expect.poll(() => log.some(({ status, err }) => status === 499 && err === undefined)).toBe(true);
    expect((await fetch(`${url}/sort?count=1`)).status).toBe(200);
    expect(await metricOf(url, 'sort_rejected_total{reason="client_left"}')).toBe(1);
  });
});
