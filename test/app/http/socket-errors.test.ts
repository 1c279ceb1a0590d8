import { once } from 'node:events';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { App } from '../../../src/app/types.ts';
import { listeningApp } from '../../support/app.ts';
import type { LogLine } from '../../support/log.ts';
import { RawConnection } from '../../support/raw.ts';

/** @returns status line, headers and parsed body of a raw answer */
function parsed(answer: string) {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  const [statusLine = '', ...headers] = head.split('\r\n');
  const fields = Object.fromEntries(headers.map((line) => line.toLowerCase().split(': ')));
  return { status: Number(statusLine.split(' ')[1]), fields, body: JSON.parse(body) };
}

describe('what is no request', () => {
  it.each([
    ['garbage', 'garbage\r\n\r\n', 400],
    ['TLS', Buffer.from('1603010200010001fc0303', 'hex'), 400],
    ['an unknown method', 'BREW /greet HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    ['two lengths', 'POST /greet HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['too many headers', `GET /greet HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(1_000_000)}\r\n\r\n`, 431],
  ])('is told so as a problem: %s', async (_what, bytes, status) => {
    const { url, log } = await listeningApp();
    const answer = parsed(await new RawConnection(url).send(bytes).closed());
    expect(answer.status).toBe(status);
    expect(answer.fields).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'x-content-type-options': 'nosniff',
      connection: 'close',
    });
    expect(answer.body).toMatchObject({ status, instance: answer.fields['x-request-id'] });
    expect(log).toContainEqual(
      expect.objectContaining({ msg: 'malformed request', status, requestId: answer.body.instance }),
    );
  });

  it('is answered where it only expects too much', async () => {
    const { url } = await listeningApp();
    const client = new RawConnection(url).send('GET /greet HTTP/1.1\r\nHost: x\r\nExpect: a pony\r\n\r\n');
    expect(await client.until('!!!')).toMatch(/^HTTP\/1.1 200 OK/);
  });

  it('does not take the place of the answer to the request before it', async () => {
    let release = () => {};
    const { app, url } = await listeningApp({}, (extended) => {
      extended.get('/held', async () => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return 'held, but whole';
      });
    });
    const client = new RawConnection(url).send('GET /held HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => app.requests.open.length).toBe(1);
    client.send('garbage\r\n\r\n');
    await new RawConnection(url).send('GET /greet HTTP/1.0\r\n\r\n').closed();
    release();
    expect(await client.closed()).toMatch(/^HTTP\/1.1 200 OK.*held, but whole$/s);
  });

  it('does not end up in the middle of another answer, nor cut it short', async () => {
    let end = () => {};
    const { app, url, log } = await listeningApp({}, (extended) => {
      extended.get('/begun', (_request, reply) => {
        reply.hijack();
        reply.raw.writeHead(200, { 'content-length': 9 });
        reply.raw.write('begun');
        end = () => reply.raw.end(' end');
      });
    });
    const client = new RawConnection(url).send('GET /begun HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('begun');
    const told = once(app.server, 'clientError');
    client.send('garbage\r\n\r\n');
    await told;
    end();
    expect(await client.closed()).toMatch(/begun end$/);
    expect(log.filter(({ msg }) => msg === 'malformed request')).toHaveLength(1);
  });

  it.each([
    ['garbage', 'garbage\r\n\r\n'],
    ['a body that is malformed', 'POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n'],
    ['CONNECT', 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n'],
    ['CONNECT with a body', 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\nContent-Length: 3\r\n\r\n'],
  ])('leaves the answers to all requests before it: %s', async (_what, bytes) => {
    const { app, url } = await listeningApp();
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const whole = /Hello A!!!.*slow, but whole.*Hello B!!!$/s;
    const requests = get('/greet/A') + get('/slow?ms=100') + get('/greet/B');
    expect(await new RawConnection(url).send(requests + bytes).closed()).toMatch(whole);
    // New connections are held back a turn, known ones are not.
    const known = new RawConnection(url).send(get('/greet/C'));
    await known.until('Hello C!!!');
    expect(await known.send(requests + bytes).closed()).toMatch(whole);
    await expect.poll(() => app.requests.open.length).toBe(0);
  });
});

it('tells a client whose headers do not arrive in time 408', async () => {
  const { app, url } = await listeningApp();
  app.server.headersTimeout = 200;
  const answer = parsed(await new RawConnection(url).send('GET /greet HTTP/1.1\r\nHost: x\r\n').closed());
  expect(answer.status).toBe(408);
  expect(answer.body).toMatchObject({ code: 'REQUEST_TIMEOUT' });
});

describe('CONNECT', () => {
  const connect = 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n';

  it('is refused as a problem, logged and counted', async () => {
    const { app, url, log } = await listeningApp();
    const answer = parsed(await new RawConnection(url).send(connect).closed());
    expect(answer.status).toBe(405);
    expect(answer.fields).toMatchObject({ allow: '', connection: 'close' });
    expect(answer.body).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' });
    expect(log).toContainEqual(
      expect.objectContaining({ msg: 'malformed request', reason: 'CONNECT', requestId: answer.body.instance }),
    );
    expect((await app.inject('/metrics')).body).toContain(
      'http_malformed_requests_total{status="405",worker="single"} 1',
    );
  });

  it.each(['end', 'resetAndDestroy'] as const)(
    'leaves nothing behind of the requests before it when its client leaves (%s)',
    async (leave) => {
      const { app, url } = await listeningApp();
      const client = new RawConnection(url).send(
        `GET /never HTTP/1.1\r\nHost: x\r\n\r\nGET /never HTTP/1.1\r\nHost: x\r\n\r\n${connect}`,
      );
      await once(app.server, 'connect');
      await expect.poll(() => app.requests.open.length).toBe(2);
      client.socket[leave]();
      await expect.poll(() => app.requests.open.length).toBe(0);
    },
  );

  it('does not keep a large answer before it from being read', async () => {
    const { url } = await listeningApp({}, (extended) => {
      extended.get('/large', (_request, reply) => reply.send(Readable.from(Array(500).fill('x'.repeat(50_000)))));
    });
    const received = await new RawConnection(url).send(`GET /large HTTP/1.1\r\nHost: x\r\n\r\n${connect}`).closed();
    expect(received.length).toBeGreaterThan(25_000_000);
    expect(received).toMatch(/0\r\n\r\n$/);
  });
});

describe('a connection on which nothing moves', () => {
  it('is closed when the keep-alive time is over', async () => {
    const { url } = await listeningApp({ keepAliveTimeoutMs: 100 });
    const client = new RawConnection(url).send('GET /greet HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await client.closed()).toMatch(/!!!$/);
  });

  it('is kept for longer than the client is told, which is no longer than a drain waits for it', async () => {
    const { app, url } = await listeningApp({ keepAliveTimeoutMs: 60_000, drainIdleMs: 7000 });
    const { headers } = await fetch(`${url}/greet`);
    expect(headers.get('keep-alive')).toBe('timeout=7');
    expect(app.server.keepAliveTimeout + app.server.keepAliveTimeoutBuffer).toBe(60_000);
  });

  it('is kept while a handler takes its time', async () => {
    const { app, url } = await listeningApp();
    app.server.setTimeout(100);
    const client = new RawConnection(url).send('GET /slow?ms=500 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await client.closed()).toMatch(/slow, but whole$/);
  });

  it('is cut where the client does not read its answer', async () => {
    const { app, url, log } = await listeningApp({}, (extended) => {
      extended.get('/large', () => Buffer.alloc(50_000_000));
    });
    app.server.setTimeout(300);
    const client = new RawConnection(url);
    client.socket.pause();
    client.send('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => log.find(({ msg }) => msg === 'request')).toMatchObject({ route: '/large', status: 499 });
    client.socket.destroy();
  });
});

describe('a connection on which nothing was said', () => {
  it('is kept for longer than headers may take, for a client that opened it in advance', async () => {
    const { app, url } = await listeningApp();
    app.server.headersTimeout = 200;
    const client = new RawConnection(url);
    await once(app.server, 'clientError');
    expect(await client.send('GET /greet HTTP/1.1\r\nHost: x\r\n\r\n').until('!!!')).toMatch(/^HTTP\/1.1 200 OK/);
    // Which then have as long as on any other.
    client.received = '';
    expect(await client.send('GET /greet HTTP/1.1\r\n').closed()).toMatch(/^HTTP\/1.1 408 /);
  });

  it('is closed without a word when the keep-alive time is over', async () => {
    const { app, url, log } = await listeningApp({ keepAliveTimeoutMs: 100 });
    app.server.headersTimeout = 200;
    expect(await new RawConnection(url).closed()).toBe('');
    expect(log.filter(({ msg }) => msg === 'malformed request')).toEqual([]);
  });
});

it('closes connections beyond the most that it may hold, and takes new ones when there is room', async () => {
  const { url } = await listeningApp({ maxConnections: 2 });
  const held = [new RawConnection(url), new RawConnection(url)];
  for (const client of held) await client.send('GET /greet HTTP/1.1\r\nHost: x\r\n\r\n').until('!!!');
  expect(await new RawConnection(url).send('GET /greet HTTP/1.1\r\nHost: x\r\n\r\n').closed()).toBe('');
  held[0]?.socket.destroy();
  await expect
    .poll(() => new RawConnection(url).send('GET /greet HTTP/1.0\r\n\r\n').closed())
    .toContain('Hello World !!!');
});

it('a client that says at once that no more comes is answered all the same', async () => {
  const { url } = await listeningApp();
  const clients = Array.from({ length: 50 }, () => {
    const client = new RawConnection(url);
    client.send('GET /greet HTTP/1.1\r\nHost: x\r\n\r\n').socket.end();
    return client.closed();
  });
  for (const received of await Promise.all(clients)) expect(received).toMatch(/^HTTP\/1.1 200 .*Hello World !!!$/s);
});

it('survives 10,000 mutated requests without a single 5xx', async () => {
  const { url } = await listeningApp({ logLevel: 'silent', maxQueueDelayMs: 0 });
  const valid = [
    'GET /greet/John HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'GET /count?number=27 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: a\r\n\r\n',
    'POST /greet HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello',
    'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    'HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nUpgrade: websocket\r\n\r\n',
  ].map((text) => Buffer.from(text));
  type Mutation = { at: number; remove: number; insert: Uint8Array };
  const mutation = fc.record({
    at: fc.nat(200),
    remove: fc.nat(8),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 8 }),
      fc.constantFrom('\r\n', '%', '..', '//', '\0', '?').map((text) => Buffer.from(text)),
    ),
  });
  const mutate = (request: Buffer, { at, remove, insert }: Mutation) =>
    Buffer.concat([request.subarray(0, at), insert, request.subarray(at + remove)]);
  const sample = fc.sample(
    fc.tuple(fc.constantFrom(...valid), fc.array(mutation, { minLength: 1, maxLength: 4 })),
    10_000,
  );
  const queue = sample.map(([request, mutations]) => mutations.reduce(mutate, request));
  const statuses = new Map<string, number>();
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      for (let bytes = queue.pop(); bytes !== undefined; bytes = queue.pop()) {
        const client = new RawConnection(url);
        client.send(bytes).socket.end();
        const [, status = 'none'] = /^HTTP\/1\.1 (\d{3})/.exec(await client.closed()) ?? [];
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    }),
  );
  expect([...statuses.keys()].filter((status) => status.startsWith('5'))).toEqual([]);
  expect(statuses.get('200')).toBeGreaterThan(100);
  expect(statuses.get('400')).toBeGreaterThan(100);
  expect(await new RawConnection(url).send('GET /greet HTTP/1.0\r\n\r\n').closed()).toContain('Hello World !!!');
});

describe('a body that stops in the middle', () => {
  const head = 'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';

  it('is over when its client closes, and nobody waits for the rest', async () => {
    const { app, url } = await listeningApp();
    const client = new RawConnection(url).send(`${head}Content-Length: 100\r\n\r\n{"half":`);
    await expect.poll(() => app.requests.open.length).toBe(1);
    client.socket.end();
    await expect.poll(() => app.requests.open.length).toBe(0);
  });

  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;

  it('is refused where it turns out to be malformed', async () => {
    const { app, url } = await listeningApp();
    const client = new RawConnection(url).send(`${chunked}5\r\n{"hal\r\nnonsense\r\n`);
    expect(await client.closed()).toContain('400 Bad Request');
    await expect.poll(() => app.requests.open.length).toBe(0);
  });

  /** What the log and the metrics have of what was asked, without that it listens and what is always 0. */
  async function told(app: App, log: readonly LogLine[]) {
    const { body } = await app.inject('/metrics');
    const counts = body.match(
      /^http_(malformed_requests_total|request_duration_seconds_count|requests_total).* [1-9]\d*$/gm,
    );
    return { lines: log.filter(({ msg, route }) => !msg?.includes('listening') && route !== '/metrics'), counts };
  }

  it.each([
    ['malformed at once', `${chunked}ZZ\r\n`, 400, 'MALFORMED_REQUEST', 'HPE_INVALID_CHUNK_SIZE'],
    ['malformed in the middle', `${chunked}5\r\n{"hal\r\nZZ\r\n`, 400, 'MALFORMED_REQUEST', 'HPE_INVALID_CHUNK_SIZE'],
    [
      'too large in its extensions',
      `${chunked}1;${'a'.repeat(20_000)}\r\n`,
      413,
      'CHUNK_EXTENSIONS_TOO_LARGE',
      'HPE_CHUNK_EXTENSIONS_OVERFLOW',
    ],
    ['late', `${head}Content-Length: 100\r\n\r\n{"half":`, 408, 'REQUEST_TIMEOUT', 'ERR_HTTP_REQUEST_TIMEOUT'],
  ])(
    'is one request, with the id and the status that its client is told: %s',
    async (_what, bytes, status, code, reason) => {
      const { app, url, log } = await listeningApp();
      app.server.headersTimeout = app.server.requestTimeout = 200;
      const sent = bytes.replace('Host: x', 'Host: x\r\nX-Request-Id: mine');
      const answer = parsed(await new RawConnection(url).send(sent).closed());
      expect(answer.status).toBe(status);
      expect(answer.fields['x-request-id']).toBe('mine');
      expect(answer.body).toMatchObject({ status, code, instance: 'mine' });
      const { lines, counts } = await told(app, log);
      expect(lines).toEqual([
        // Late ones are slow, too.
        expect.objectContaining({
          msg: expect.stringMatching(/^(slow )?request$/),
          ...{ route: '/echo', requestId: 'mine', status, reason },
        }),
      ]);
      expect(counts).toEqual([
        expect.stringMatching(
          new RegExp(`^http_request_duration_seconds_count{.*route="/echo",status="${status}".*} 1$`),
        ),
        'http_requests_total{worker="single"} 1',
      ]);
    },
  );

  it('is one request also where the answers before it leave no room for its own', async () => {
    const { app, url, log } = await listeningApp();
    const slow = 'GET /slow?ms=100 HTTP/1.1\r\nHost: x\r\n\r\n';
    expect(await new RawConnection(url).send(`${slow}${chunked}ZZ\r\n`).closed()).toMatch(/slow, but whole$/);
    await expect.poll(() => app.requests.open.length).toBe(0);
    const { lines, counts } = await told(app, log);
    expect(lines.map(({ route, status }) => `${route} ${status}`).sort()).toEqual(['/echo 400', '/slow 200']);
    expect(counts).toContain('http_requests_total{worker="single"} 2');
    expect(counts?.join()).not.toContain('malformed');
  });

  it('is not answered in the middle of an answer that has begun: that is cut', async () => {
    const { app, url, log } = await listeningApp({}, (extended) => {
      extended.addContentTypeParser('text/begun', (_request, _body, taken) => taken(null));
      extended.post('/begun', (_request, reply) => {
        reply.hijack();
        reply.raw.writeHead(200, { 'content-length': 9 });
        reply.raw.write('begun');
      });
    });
    const client = new RawConnection(url).send(
      'POST /begun HTTP/1.1\r\nHost: x\r\nContent-Type: text/begun\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    await client.until('begun');
    expect(await client.send('ZZ\r\n').closed()).toMatch(/begun$/);
    expect((await told(app, log)).lines).toEqual([expect.objectContaining({ route: '/begun', status: 400 })]);
  });
});
