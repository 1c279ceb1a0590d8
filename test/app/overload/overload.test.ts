import type { FastifyReply } from 'fastify';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ConcurrencyLimit } from '../../../src/app/overload/concurrency-limit.ts';
import type { App } from '../../../src/app/types.ts';
import { listeningApp, readyApp } from '../../support/app.ts';
import { metricOf } from '../../support/metrics.ts';
import { Service } from '../../support/processes.ts';
import { RawConnection } from '../../support/raw.ts';

const OVERLOADED = expect.objectContaining({ status: 503, code: 'OVERLOADED' });

async function ask(url: string) {
  const response = await fetch(url);
  return { status: response.status, retryAfter: response.headers.get('retry-after'), body: await response.text() };
}

/** So many clients that ask for something and wait. */
function waitingFor(url: string, count: number): AbortController[] {
  return Array.from({ length: count }, () => {
    const leaving = new AbortController();
    fetch(url, { signal: leaving.signal }).catch(() => {});
    return leaving;
  });
}

async function open(app: App, count: number): Promise<void> {
  await expect.poll(() => app.requests.open.length).toBe(count);
}

describe('a process whose event loop is overloaded', () => {
  async function service(environment: NodeJS.ProcessEnv = {}) {
    const started = new Service('src/server/main.js', environment);
    const url = await started.ready();
    // In its first second of CPU time, nothing is refused.
    for (let request = 0; request < 11; request++) await ask(`${url}/block?ms=100`);
    return { started, url };
  }

  it('answers some in time, refuses the others, tells when to come again, and goes on as before', async () => {
    const { started, url } = await service();
    const crowd = Array.from({ length: 400 }, () => ask(`${url}/block?ms=5`));
    const operations = [ask(`${url}/livez`), ask(`${url}/readyz`), ask(`${url}/metrics`)];
    const answers = await Promise.all(crowd);
    for (const { status } of await Promise.all(operations)) expect(status).toBe(200);

    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThan(100);
    expect(refused.length).toBeLessThan(400);
    for (const { status, body } of refused) {
      expect(status).toBe(503);
      expect(JSON.parse(body)).toEqual(OVERLOADED);
    }
    expect(new Set(refused.map(({ retryAfter }) => retryAfter))).toEqual(new Set(['1', '2', '3']));
    expect(await metricOf(url, 'http_requests_shed_total{reason="turn"}')).toBe(refused.length);
    await expect.poll(() => started.lines('overloaded: refused requests with 503')).not.toEqual([]);

    for (let request = 0; request < 20; request++) expect((await ask(`${url}/block?ms=5`)).status).toBe(200);
  });

  it('refuses nobody for one slow turn', async () => {
    const { url } = await service();
    for (let turn = 0; turn < 5; turn++) {
      const answers = await Promise.all([30, 0, 0, 0].map((ms) => ask(`${url}/block?ms=${ms}`)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  });

  it('refuses nobody where MAX_QUEUE_DELAY_MS is 0, and measures all the same', async () => {
    const { url } = await service({ MAX_QUEUE_DELAY_MS: '0' });
    const before = Number(await metricOf(url, 'http_queue_delay_seconds_count'));
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(`${url}/block?ms=2`)));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    await expect.poll(() => metricOf(url, 'http_queue_delay_seconds_count')).toBe(before + 200);
    const [short = 0, sum = 0] = [
      await metricOf(url, 'http_queue_delay_seconds_bucket{le="0.01"}'),
      await metricOf(url, 'http_queue_delay_seconds_sum'),
    ];
    expect(short - before).toBeLessThan(101);
    expect(sum).toBeGreaterThan(1);
  });

  it('measures the delay of each request, not of each turn', async () => {
    const { url } = await listeningApp();
    const asked = Array.from({ length: 9 }, () => 'GET /greet HTTP/1.1\r\nHost: x\r\n\r\n').join('');
    await new RawConnection(url)
      .send(
        `GET /block?ms=60 HTTP/1.1\r\nHost: x\r\n\r\n${asked}GET /greet HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      )
      .closed();
    await expect.poll(() => metricOf(url, 'http_queue_delay_seconds_count')).toBe(11);
    expect(await metricOf(url, 'http_queue_delay_seconds_bucket{le="0.05"}')).toBe(0);
  });
});

describe('a route of which many requests wait', () => {
  it('refuses more than may be open, and takes the next when one has ended', async () => {
    const works: { reply: FastifyReply; end: (text: string) => void }[] = [];
    const { app, url } = await listeningApp({}, (extended) => {
      extended.get('/wait', (_request, reply) => new Promise((end) => works.push({ reply, end })));
    });
    const clients = waitingFor(`${url}/wait`, 64);
    await open(app, 64);
    const refused = await ask(`${url}/wait`);
    expect(refused).toMatchObject({ status: 503, retryAfter: expect.stringMatching(/^[123]$/) });
    expect(JSON.parse(refused.body)).toEqual(OVERLOADED);
    expect(await metricOf(url, 'http_requests_shed_total{reason="concurrency"}')).toBe(1);
    expect((await ask(`${url}/greet`)).status).toBe(200);

    // One that has left is still worked for.
    clients[0]?.abort();
    await open(app, 63);
    expect((await ask(`${url}/wait`)).status).toBe(503);

    works.find(({ reply }) => reply.raw.destroyed)?.end('for nobody');
    waitingFor(`${url}/wait`, 1);
    await open(app, 64);
    for (const { end } of works) end('for somebody');
    await open(app, 0);
  });

  it('has room again when clients have left at once', async () => {
    const { app, url } = await listeningApp({}, (extended) => {
      extended.get('/wait', (_request, reply) => new Promise((end) => reply.raw.once('close', () => end('left'))));
    });
    for (let client = 0; client < 300; client++) {
      const { socket } = new RawConnection(url).send('GET /wait HTTP/1.1\r\nHost: x\r\n\r\n');
      socket.once('connect', () => socket.resetAndDestroy());
    }
    await open(app, 0);
    const clients = waitingFor(`${url}/wait`, 64);
    await open(app, 64);
    for (const client of clients) client.abort();
    await open(app, 0);
  });

  it('measures them from when their body was there', async () => {
    const leave = vi.spyOn(ConcurrencyLimit.prototype, 'leave');
    onTestFinished(() => leave.mockRestore());
    const { app, url } = await listeningApp();
    const client = new RawConnection(url).send(
      'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n',
    );
    await open(app, 1);
    const bodySentAt = performance.now();
    await client.send('{}').until('\r\n\r\n{}');
    await open(app, 0);
    const [enteredAt, now] = leave.mock.lastCall ?? [];
    expect(enteredAt).toBeGreaterThan(bodySentAt);
    expect(now).toBeGreaterThan(Number(enteredAt));
  });

  it('counts no answers that only wait for their clients to read them', async () => {
    const { app, url } = await listeningApp({}, (extended) => {
      extended.get('/large', () => 'x'.repeat(1_000_000));
    });
    const client = new RawConnection(url);
    client.socket.pause();
    client.send('GET /large HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100));
    await expect.poll(() => app.requests.open.length).toBeGreaterThan(80);
    for (let other = 0; other < 100; other++) expect((await ask(`${url}/large`)).status).toBe(200);
    client.socket.destroy();
    await open(app, 0);
  });

  it('takes all of them where it says that it bounds itself', async () => {
    const { app, url } = await listeningApp({}, (extended) => {
      extended.get('/stream', { config: { boundsItself: true } }, () => new Promise(() => {}));
    });
    const leaving = new AbortController();
    for (let client = 0; client < 100; client++) fetch(`${url}/stream`, { signal: leaving.signal }).catch(() => {});
    await open(app, 100);
    leaving.abort();
    await open(app, 0);
  });
});

it('a process that is far above what the supervisor lets it have refuses all but operations, until it drains', async () => {
  const rssMaxBytes = process.memoryUsage.rss() / 3; // It may become less meanwhile.
  const worker = { worker: 'single', pid: process.pid, state: 'ready', restarts: 0, rssMaxBytes } as const;
  const supervisor = () => ({
    wanted: 1,
    ready: 1,
    restarts: { start_failed: 0, stood_still: 0, killed: 0, exited: 0, left: 0, too_large: 0 },
    reloads: { ok: 0, failed: 0 },
    lastReload: undefined,
    recentReloads: [],
    workers: [{ ...worker, worker: 'other', rssMaxBytes: null }, worker],
  });
  const { app, url } = await listeningApp({}, undefined, { supervisor });
  await expect.poll(async () => (await ask(`${url}/greet`)).status, { timeout: 5000 }).toBe(503);
  expect(await metricOf(url, 'http_requests_shed_total{reason="memory"}')).toBeGreaterThan(0);
  expect((await ask(`${url}/livez`)).status).toBe(200);
  app.lifecycle.advance('draining');
  expect((await ask(`${url}/greet`)).status).toBe(200);
});

it('a process that nobody would replace refuses nothing for MAX_WORKER_RSS_MB', async () => {
  const started = new Service('src/server/main.js', { MAX_WORKER_RSS_MB: '1' });
  const url = await started.ready();
  const until = performance.now() + 2500; // Memory is looked at once a second.
  while (performance.now() < until) expect((await ask(`${url}/greet`)).status).toBe(200);
});

it('requests that are injected are not refused, though the loop may never turn between them', async () => {
  const { app } = await readyApp();
  for (let request = 0; request < 50; request++) {
    expect((await app.inject('/block?ms=2')).statusCode).toBe(200);
  }
});
