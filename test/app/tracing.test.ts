import { get, type IncomingHttpHeaders } from 'node:http';
import { trace } from '@opentelemetry/api';
import { Agent, request as ask } from 'undici';
import { describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import type { App } from '../../src/app/types.ts';
import type { Config } from '../../src/config/settings.ts';
import { listeningApp, readyApp } from '../support/app.ts';
import { type Answer, KIND_SERVER, OtlpReceiver, STATUS_ERROR, STATUS_UNSET } from '../support/otlp-receiver.ts';
import { RawConnection } from '../support/raw.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const PATIENCE_MS = 20_000;

/** An app that is traced, and `spans` to end the tracing and see all that it has sent. */
async function tracedApp(overrides: Partial<Config> = {}, extend?: (app: App) => void) {
  const receiver = await OtlpReceiver.start();
  const { app, log, url } = await listeningApp({ otelExporterOtlpEndpoint: receiver.url, ...overrides }, extend);
  // That it listens.
  log.length = 0;
  const spans = async () => {
    await app.endTracing(PATIENCE_MS);
    return receiver.spans;
  };
  return { app, log, url, receiver, spans };
}

describe('a span', () => {
  it('tells what the conventions ask for, and no query', async () => {
    const { url, spans } = await tracedApp();
    await fetch(`${url}/greet/John?token=secret`, { headers: { 'user-agent': 'a test' } });
    expect(await spans()).toEqual([
      {
        name: 'GET /greet/:name',
        kind: KIND_SERVER,
        traceId: expect.stringMatching(/^[\da-f]{32}$/),
        spanId: expect.stringMatching(/^[\da-f]{16}$/),
        parentSpanId: '',
        traceState: '',
        status: STATUS_UNSET,
        ms: expect.any(Number),
        attributes: {
          'http.request.method': 'GET',
          'http.route': '/greet/:name',
          'http.response.status_code': 200,
          'url.path': '/greet/John',
          'url.scheme': 'http',
          'server.address': '127.0.0.1',
          'server.port': Number(new URL(url).port),
          'client.address': '127.0.0.1',
          'network.protocol.version': '1.1',
          'user_agent.original': 'a test',
        },
        resource: expect.objectContaining({
          'service.name': packageJson.name,
          'service.version': packageJson.version,
          'service.instance.id': expect.stringMatching(/^[\da-f-]{36}$/),
          'process.pid': process.pid,
        }),
      },
    ]);
  });

  it('lasts from the headers to the end of the answer', async () => {
    const { app, spans } = await tracedApp();
    await app.inject('/slow?ms=100');
    const [span] = await spans();
    expect(span?.ms).toBeGreaterThan(99);
    expect(span?.ms).toBeLessThan(1000);
  });

  it.each([
    ['GET', '/nowhere?token=secret', 'GET', { 'http.response.status_code': 404, 'url.path': '/nowhere' }],
    ['POST', '/greet', 'POST', { 'http.response.status_code': 405 }],
    ['HEAD', '/greet', 'HEAD /greet', { 'http.request.method': 'HEAD', 'http.route': '/greet' }],
    ['GET', '/count?number=x', 'GET /count', { 'http.response.status_code': 400 }],
    ['GET', '/%ff', 'GET', { 'http.response.status_code': 400 }],
    ['PURGE', '/greet', 'HTTP', { 'http.request.method': '_OTHER', 'http.request.method_original': 'PURGE' }],
  ])('of %s %s is called %s %s', async (method, path, name, attributes) => {
    const { url, spans } = await tracedApp();
    const client = new RawConnection(url).send(`${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await client.closed();
    expect(await spans()).toEqual([
      expect.objectContaining({ name, status: STATUS_UNSET, attributes: expect.objectContaining(attributes) }),
    ]);
  });

  it('has no route where a handler has found that nothing is there', async () => {
    const { app, spans } = await tracedApp({}, (extended) => {
      extended.get('/orders/:id', (_request, reply) => reply.callNotFound());
    });
    await app.inject('/orders/7');
    const [span] = await spans();
    expect(span?.name).toBe('GET');
    expect(span?.attributes).not.toHaveProperty('http.route');
  });

  it('of a failure is an error that says which', async () => {
    const { app, spans } = await tracedApp({}, (extended) => {
      extended.get('/fail', () => {
        throw new TypeError('a secret');
      });
      extended.get('/refuse', () => {
        throw Object.assign(new Error('a secret'), { code: 'ECONNREFUSED' });
      });
      extended.get('/unavailable', (_request, reply) => reply.code(503).send());
    });
    for (const path of ['/fail', '/refuse', '/unavailable']) await app.inject(path);
    expect((await spans()).map(({ status, attributes }) => [status, attributes['error.type']])).toEqual([
      [STATUS_ERROR, 'TypeError'],
      [STATUS_ERROR, 'ECONNREFUSED'],
      [STATUS_ERROR, '503'],
    ]);
    expect(JSON.stringify(await spans())).not.toContain('secret');
  });

  it('of a client that left before its answer was complete is an error, and tells who it was', async () => {
    const { url, receiver, log, app } = await tracedApp();
    const client = new RawConnection(url).send('GET /trickle?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('first');
    client.socket.destroy();
    await expect.poll(() => log.length).toBe(1);
    await app.endTracing(PATIENCE_MS);
    expect(receiver.spans).toEqual([
      expect.objectContaining({
        status: STATUS_ERROR,
        attributes: expect.objectContaining({
          'error.type': 'aborted',
          'http.response.status_code': 200,
          'client.address': '127.0.0.1',
        }),
      }),
    ]);
  });

  it('of a request whose body is malformed has the status that its client was told, and is no error of ours', async () => {
    const { url, spans } = await tracedApp();
    const head =
      'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(await new RawConnection(url).send(`${head}ZZ\r\n`).closed()).toMatch(/^HTTP\/1.1 400 /);
    const [span] = await spans();
    expect(span).toMatchObject({
      name: 'POST /echo',
      status: STATUS_UNSET,
      attributes: { 'http.response.status_code': 400, 'http.route': '/echo' },
    });
    expect(span?.attributes).not.toHaveProperty('error.type');
  });

  it('is not made for what operators and readers of the documentation ask', async () => {
    const { app, spans } = await tracedApp();
    for (const path of ['/livez', '/readyz', '/health', '/metrics', '/docs', '/openapi.json']) {
      expect((await app.inject(path)).statusCode, path).toBeLessThan(504);
    }
    await app.inject('/greet');
    expect((await spans()).map(({ name }) => name)).toEqual(['GET /greet']);
  });

  it.each([
    ['1', { 'client.address': '203.0.113.7', 'server.address': 'shop.example', 'url.scheme': 'https' }],
    ['', { 'client.address': '127.0.0.1', 'server.address': 'localhost', 'url.scheme': 'http' }],
  ])('believes a proxy only where TRUST_PROXY is %j', async (trustProxy, attributes) => {
    const { app, spans } = await tracedApp({ trustProxy });
    await app.inject({
      url: '/greet',
      headers: {
        'x-forwarded-for': '203.0.113.7',
        'x-forwarded-host': 'shop.example:8443',
        'x-forwarded-proto': 'https',
      },
    });
    expect(await spans()).toEqual([expect.objectContaining({ attributes: expect.objectContaining(attributes) })]);
  });

  it('is bounded, whatever the client sends', async () => {
    const { app, spans } = await tracedApp();
    await app.inject({ url: `/greet/${'x'.repeat(15_000)}`, headers: { 'user-agent': 'y'.repeat(5000) } });
    const [span] = await spans();
    expect(JSON.stringify(span).length).toBeLessThan(4000);
  });
});

describe('the trace of a client', () => {
  const traceparent = `00-${TRACE}-${SPAN}-01`;

  it('goes on', async () => {
    const { app, spans } = await tracedApp();
    await app.inject({ url: '/greet', headers: { traceparent, tracestate: 'vendor=1' } });
    expect(await spans()).toEqual([
      expect.objectContaining({ traceId: TRACE, parentSpanId: SPAN, traceState: 'vendor=1' }),
    ]);
  });

  it.each([
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-more`,
    `${traceparent}, ${traceparent}`,
    '',
    'x'.repeat(8000),
  ])('begins anew where its header is wrong: %s', async (wrong) => {
    const { app, spans } = await tracedApp();
    await app.inject({ url: '/greet', headers: { traceparent: wrong, tracestate: ',;=,' } });
    expect(await spans()).toEqual([expect.objectContaining({ parentSpanId: '', traceState: '' })]);
    expect(receivedTraces(await spans())).not.toContain(TRACE);
  });

  it.each([
    ['parentbased_always_on', 1, ['new', 'sampled']],
    ['parentbased_always_off', 1, ['sampled']],
    ['parentbased_traceidratio', 0, ['sampled']],
    ['parentbased_traceidratio', 1, ['new', 'sampled']],
    ['always_on', 1, ['new', 'sampled', 'unsampled']],
    ['always_off', 1, []],
    ['traceidratio', 0, []],
  ] as const)('is followed as %s with %d says', async (otelTracesSampler, otelTracesSamplerArg, traced) => {
    const { app, spans, log } = await tracedApp({ otelTracesSampler, otelTracesSamplerArg });
    await app.inject('/greet/new');
    await app.inject({ url: '/greet/sampled', headers: { traceparent } });
    await app.inject({ url: '/greet/unsampled', headers: { traceparent: `00-${TRACE}-${SPAN}-00` } });
    expect((await spans()).map(({ attributes }) => attributes['url.path'])).toEqual(
      traced.map((name) => `/greet/${name}`),
    );
    // The ids are there all the same: others may keep what this one does not.
    expect(log.map((line) => line.trace_id)).toEqual([expect.any(String), TRACE, TRACE]);
  });
});

describe('the log', () => {
  it('has the ids of the span in each line of its request', async () => {
    const { app, log, spans } = await tracedApp({}, (extended) => {
      extended.get('/logs', (request) => {
        request.log.info('a line of the handler');
        return 'done';
      });
    });
    await app.inject({ url: '/logs', headers: { traceparent: `00-${TRACE}-${SPAN}-01` } });
    const [span] = await spans();
    expect(log).toHaveLength(2);
    for (const line of log) expect(line).toMatchObject({ trace_id: TRACE, span_id: span?.spanId });
  });

  it('has those that the caller sent where a route makes no spans', async () => {
    const { app, log } = await tracedApp();
    await app.inject({ url: '/livez', headers: { traceparent: `00-${TRACE}-${SPAN}-01` } });
    expect(log[0]).toMatchObject({ trace_id: TRACE, span_id: SPAN });
  });
});

describe('what a handler asks of others', () => {
  const clients: Record<string, (url: string) => Promise<unknown>> = {
    fetch: async (url) => (await fetch(url)).text(),
    undici: async (url) => (await ask(url, { dispatcher: new Agent({ pipelining: 0 }) })).body.text(),
    'node:http': (url) => new Promise((resolve) => get(url, (response) => resolve(response.resume()))),
    'node:http, its headers in a list': (url) =>
      new Promise((resolve) => get(url, { headers: ['Host', 'x'] }, (response) => resolve(response.resume()))),
  };
  const canTell = Object.keys(clients).filter((name) => !name.includes('list'));

  /** Two apps: the first asks the second. */
  async function twoApps(client: (url: string) => Promise<unknown>) {
    const told: IncomingHttpHeaders[] = [];
    const asked = await listeningApp({}, (extended) => {
      extended.get('/told', (request) => told.push(request.headers));
    });
    const asking = await tracedApp({}, (extended) => {
      const handler = async () => {
        await client(`${asked.url}/told`);
        return 'done';
      };
      extended.get('/ask', handler);
      extended.post('/ask', handler);
      // What plugins do before the handler, such as asking who the client is.
      extended.get('/guarded', { onRequest: handler }, () => 'done');
    });
    return { ...asking, told };
  }

  it.each(canTell)('belongs to its trace: %s', async (name) => {
    const { url, told, spans } = await twoApps(clients[name] ?? fetch);
    const headers = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'vendor=1' };
    await fetch(`${url}/ask`, { headers });
    await fetch(`${url}/ask`, { method: 'POST', headers, body: 'a body' });
    await fetch(`${url}/guarded`, { headers });
    const received = await spans();
    expect(received.map(({ traceId }) => traceId)).toEqual([TRACE, TRACE, TRACE]);
    expect(told.map(({ traceparent }) => traceparent)).toEqual(
      received.map(({ spanId }) => `00-${TRACE}-${spanId}-01`),
    );
    expect(told.map(({ tracestate }) => tracestate)).toEqual(['vendor=1', 'vendor=1', 'vendor=1']);
  });

  it('is asked all the same where nothing can be added', async () => {
    const { url, told } = await twoApps(clients['node:http, its headers in a list'] ?? fetch);
    await fetch(`${url}/ask`);
    expect(told).toEqual([expect.not.objectContaining({ traceparent: expect.anything() })]);
  });

  it('keeps a traceparent of its own', async () => {
    const own = `00-${TRACE}-${SPAN}-00`;
    const headers = { traceparent: own };
    const { url, told } = await twoApps(async (to) => {
      await fetch(to, { headers });
      await new Promise((resolve) => get(to, { headers }, (response) => resolve(response.resume())));
    });
    await fetch(`${url}/ask`);
    expect(told.map(({ traceparent }) => traceparent)).toEqual([own, own]);
  });

  it('is of one request each, however many are open', async () => {
    const { url, told, spans } = await twoApps(async (to) => fetch(to));
    await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/ask`)));
    const received = await spans();
    expect(told.map(({ traceparent }) => traceparent).sort()).toEqual(
      received.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`).sort(),
    );
  });
});

it('a handler may begin spans of its own, and add to the one of its request', async () => {
  const { app, spans } = await tracedApp({}, (extended) => {
    const tracer = trace.getTracer('orders');
    extended.get('/order', () =>
      tracer.startActiveSpan('load the order', async (span) => {
        trace.getActiveSpan()?.setAttribute('order.id', 7);
        span.end();
        return 'done';
      }),
    );
  });
  await app.inject('/order');
  const [own, ofRequest] = await spans();
  expect(own).toMatchObject({ name: 'load the order', attributes: { 'order.id': 7 }, traceId: ofRequest?.traceId });
  expect(own?.parentSpanId).toBe(ofRequest?.spanId);
});

describe('a receiver', () => {
  it.each<[string, Answer]>([
    ['fails', (response) => response.writeHead(500).end('a stack trace')],
    ['is no receiver', (response) => response.writeHead(404).end('<html>')],
    ['answers nonsense', (response) => response.writeHead(200).end('<html>')],
    ['breaks off', (response) => response.destroy()],
  ])('that %s is complained about once', async (_what, answer) => {
    const receiver = await OtlpReceiver.start(answer);
    const { app, log } = await readyApp({ otelExporterOtlpEndpoint: receiver.url, requestLog: false });
    // Batches go out as soon as they are full.
    for (let count = 0; count < 3 * 512; count++) await app.inject('/greet');
    await receiver.until(() => receiver.requests.length >= 3);
    await app.endTracing(100);
    const about = log.filter(({ msg }) => msg?.startsWith('traces: '));
    expect(about.length).toBeGreaterThan(0);
    expect(about.length).toBeLessThan(3);
    expect(about.every(({ level }) => level === 'warn')).toBe(true);
    expect(JSON.stringify(about)).not.toContain('a stack trace');
    // Sending spans is nobody's request.
    for (const { headers } of receiver.requests) expect(headers).not.toHaveProperty('traceparent');
  });

  it('that hangs keeps no more than a bounded number of spans waiting, and no answer', async () => {
    const receiver = await OtlpReceiver.start(() => {});
    const { app, log } = await readyApp({ otelExporterOtlpEndpoint: receiver.url, requestLog: false });
    for (let count = 0; count < 6000; count++) await app.inject('/greet');
    const began = performance.now();
    await app.endTracing(300);
    expect(performance.now() - began).toBeLessThan(2000);
    expect(receiver.spans.length).toBeLessThanOrEqual(512 + 2048);
    expect(log.map(({ msg }) => msg)).toContain('traces: the last spans were not delivered');
  });

  it('is found below a path, and knows us by what the URL says', async () => {
    const receiver = await OtlpReceiver.start();
    const endpoint = `${receiver.url.replace('//', '//user:secret@')}/collect/`;
    const { app } = await readyApp({ otelExporterOtlpEndpoint: endpoint });
    await app.inject('/greet');
    await app.endTracing(PATIENCE_MS);
    expect(receiver.requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['/collect/v1/traces', `Basic ${btoa('user:secret')}`],
    ]);
  });
});

it('an app that is closed has sent its spans', async () => {
  const receiver = await OtlpReceiver.start();
  const { app } = await readyApp({ otelExporterOtlpEndpoint: receiver.url });
  await app.inject('/greet');
  await app.close();
  expect(receiver.named('GET /greet')).toHaveLength(1);
});

function receivedTraces(spans: readonly { traceId: string }[]): string[] {
  return spans.map(({ traceId }) => traceId);
}
