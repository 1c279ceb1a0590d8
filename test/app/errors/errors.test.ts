import { once } from 'node:events';
import { METHODS, request } from 'node:http';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import supertest from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';
import { buildApp } from '../../../src/app/app.ts';
import { Busy } from '../../../src/app/errors/busy.ts';
import type { App } from '../../../src/app/types.ts';
import { listeningApp, readyApp } from '../../support/app.ts';
import { RawConnection } from '../../support/raw.ts';

const PROBLEM = 'application/problem+json; charset=utf-8';

describe('an unmatched request', () => {
  it('is told 404 where no method is answered', async () => {
    const { app } = await readyApp();
    const response = await supertest(app.server).get('/nothing/here').expect(404).expect('content-type', PROBLEM);
    expect(response.body).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      code: 'NOT_FOUND',
      detail: 'Nothing is served at this path.',
      instance: response.headers['x-request-id'],
    });
  });

  // CONNECT never gets so far: socket-errors.test.ts.
  it.each(METHODS.filter((method) => !['GET', 'HEAD', 'CONNECT'].includes(method)))(
    'is told 405 and what is allowed where %s is not answered',
    async (method) => {
      const { app } = await readyApp();
      const response = await app.inject({ method: method as 'POST', url: '/greet/John?x=1' });
      expect(response.statusCode).toBe(405);
      expect(response.headers.allow).toBe('GET, HEAD');
      expect(response.json()).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' });
    },
  );

  it('is answered before its body is looked at', async () => {
    const { app } = await readyApp();
    const body = { headers: { 'content-type': 'text/xml' }, payload: '<x/>' };
    expect((await app.inject({ method: 'POST', url: '/greet', ...body })).statusCode).toBe(405);
    expect((await app.inject({ method: 'POST', url: '/nothing', ...body })).statusCode).toBe(404);
  });
});

describe('a path that the router refuses', () => {
  it.each([
    ['/greet/%E0%A4%A', 400, 'PATH_MALFORMED'],
    ['/greet/%ED%A0%80', 400, 'PATH_MALFORMED'],
    [`/greet/${'a'.repeat(5000)}`, 414, 'PATH_TOO_LONG'],
  ])('is told so as any other error', async (url, status, code) => {
    const { app, log } = await readyApp();
    const response = await app.inject({ url, headers: { 'x-request-id': 'mine' } });
    expect(response.statusCode).toBe(status);
    expect(response.headers).toMatchObject({
      'content-type': PROBLEM,
      'x-request-id': 'mine',
      'x-content-type-options': 'nosniff',
    });
    expect(response.json()).toMatchObject({ status, code, instance: 'mine' });
    expect(response.body.length).toBeLessThan(300);
    expect(log).toContainEqual(expect.objectContaining({ msg: 'request', requestId: 'mine', status }));
    expect(app.requests.open.length).toBe(0);
  });
});

describe('a body', () => {
  const withEcho = () =>
    readyApp({}, (app) => {
      const body = {
        type: 'object',
        required: ['a'],
        properties: { a: { type: 'object', additionalProperties: false, properties: { b: { type: 'integer' } } } },
      } as const;
      app.post('/notes', { schema: { body } }, (request) => request.body);
    });
  const json = { 'content-type': 'application/json' };

  it.each([
    ['of a type that nobody reads', { 'content-type': 'text/xml' }, '<a/>', 415, 'MEDIA_TYPE_UNSUPPORTED'],
    ['that is no JSON', json, '{', 400, 'BODY_MALFORMED'],
    ['that is too large', json, JSON.stringify({ a: 'x'.repeat(1024 * 1024) }), 413, 'BODY_TOO_LARGE'],
    ['that poisons prototypes', json, '{"__proto__":{"x":1}}', 400, 'BODY_MALFORMED'],
    ['that is empty', json, '', 400, 'BODY_MALFORMED'],
  ])('%s is refused', async (_what, headers, payload, status, code) => {
    const { app } = await withEcho();
    const response = await app.inject({ method: 'POST', url: '/notes', headers, payload });
    expect(response.statusCode).toBe(status);
    expect(response.headers['content-type']).toBe(PROBLEM);
    expect(response.json()).toMatchObject({ status, code, instance: response.headers['x-request-id'] });
  });

  it('that does not fit its schema is refused with a pointer to the place', async () => {
    const { app } = await withEcho();
    const unknown = await app.inject({ method: 'POST', url: '/notes', payload: { a: { 'c/~': 1 } } });
    expect(unknown.json().errors).toEqual([{ in: 'body', pointer: '/a/c~1~0', detail: 'is not known here' }]);
    const long = await app.inject({ method: 'POST', url: '/notes', payload: { a: { ['c'.repeat(10_000)]: 1 } } });
    expect(long.json().errors[0].pointer).toBe(`/a/${'c'.repeat(100)}`);
    const wrong = await app.inject({ method: 'POST', url: '/notes', payload: { a: { b: '1' } } });
    expect(wrong.json().errors).toEqual([{ in: 'body', pointer: '/a/b', detail: 'must be integer' }]);
    const missing = await app.inject({ method: 'POST', url: '/notes', payload: {} });
    expect(missing.json().errors).toEqual([{ in: 'body', pointer: '/a', detail: 'is required' }]);
  });
});

describe('a handler that fails', () => {
  it.each([
    ['throws an error', () => Promise.reject(new Error('the password is hunter2'))],
    ['throws null', () => Promise.reject(null)],
    ['throws text', () => Promise.reject('the password is hunter2')],
    [
      'throws an error with a nonsensical status',
      () => Promise.reject(Object.assign(new Error(), { statusCode: 200 })),
    ],
  ])('because it %s is told as 500 without a word of it', async (_what, handler) => {
    const { app, log } = await readyApp({ requestLog: false }, (extended) => extended.get('/boom', handler));
    const response = await app.inject('/boom');
    expect(response.statusCode).toBe(500);
    expect(response.json()).toMatchObject({ status: 500, code: 'INTERNAL_ERROR' });
    expect(response.body).not.toContain('hunter2');
    const [line] = log.filter(({ msg }) => msg === 'request failed');
    expect(line).toMatchObject({ level: 'error', route: '/boom', status: 500, err: { type: 'Error' } });
  });

  it.each([
    [{ statusCode: 404 }, 404],
    [{ status: 404 }, 404],
    [{ statusCode: '404' }, 500],
    [{ statusCode: 450.5 }, 500],
    [{ statusCode: 302 }, 500],
  ])('that carries %j is told as %i', async (properties, status) => {
    const failure = Object.assign(new Error('x'), properties);
    const { app } = await readyApp({}, (extended) => extended.get('/boom', () => Promise.reject(failure)));
    expect((await app.inject('/boom')).statusCode).toBe(status);
  });

  it('by what it did to the answer is told the same way, without a word of it', async () => {
    const { app } = await readyApp({}, (extended) => {
      extended.get('/header', (_request, reply) => reply.header('x-secret', 'a\nb').send('never'));
      extended.register(async (scope) => {
        scope.addHook('onSend', async () => {
          throw new Error('secret');
        });
        scope.get('/hook', () => 'never');
      });
    });
    for (const url of ['/header', '/hook']) {
      const response = await app.inject(url);
      expect(response.statusCode).toBe(500);
      expect(response.headers).toMatchObject({ 'content-type': PROBLEM, 'x-content-type-options': 'nosniff' });
      expect(response.json()).toMatchObject({ code: 'INTERNAL_ERROR', instance: response.headers['x-request-id'] });
      expect(response.body).not.toContain('secret');
    }
  });

  it('half-way through its stream is logged and counted as a failure', async () => {
    const { app, url, log } = await listeningApp({}, (extended) => {
      extended.get('/stream', (_request, reply) => {
        const stream = new PassThrough();
        stream.write('begun');
        setImmediate(() => stream.destroy(new Error('the disk is gone')));
        return reply.send(stream);
      });
    });
    await expect(fetch(`${url}/stream`).then((response) => response.text())).rejects.toThrow();
    await expect.poll(() => log.length).toBeGreaterThan(1);
    expect(log).toContainEqual(
      expect.objectContaining({
        msg: 'request failed',
        route: '/stream',
        status: 500,
        err: expect.objectContaining({ message: 'the disk is gone' }),
      }),
    );
    expect((await app.inject('/metrics')).body).toContain('route="/stream",status="500",worker="single"} 1');
  });

  it('is logged without what libraries hang on their errors', async () => {
    const cause = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
    const failure = Object.assign(new Error('upstream failed', { cause }), {
      config: { headers: { authorization: 'Bearer CANARY' } },
    });
    const { app, log } = await readyApp({}, (extended) => extended.get('/boom', () => Promise.reject(failure)));
    await app.inject('/boom');
    expect(log[0]?.err).toMatchObject({ message: 'upstream failed', cause: { code: 'ECONNRESET' } });
    expect(JSON.stringify(log)).not.toContain('CANARY');
  });

  it('with a 503 of somebody else is logged, where requests are not; what is refused for want of capacity is not', async () => {
    const upstream = Object.assign(new Error('upstream away'), { statusCode: 503 });
    const { app, log } = await readyApp({ requestLog: false }, (extended) => {
      extended.get('/relayed', () => Promise.reject(upstream));
      extended.get('/busy', () => Promise.reject(new Busy('BUSY', 'Later.', 1)));
    });
    for (const url of ['/relayed', '/busy']) expect((await app.inject(url)).statusCode).toBe(503);
    expect(log).toMatchObject([
      { msg: 'request failed', route: '/relayed', status: 503, err: { message: 'upstream away' } },
    ]);
  });

  it('keeps the status that its error carries', async () => {
    const teapot = Object.assign(new Error('short and stout'), { statusCode: 418, code: 'TEAPOT' });
    const { app } = await readyApp({}, (extended) => extended.get('/tea', () => Promise.reject(teapot)));
    expect((await app.inject('/tea')).json()).toMatchObject({ status: 418, code: 'TEAPOT', detail: 'short and stout' });
  });
});

it('tells those who come at a busy time to come again at different ones', async () => {
  const { app } = await readyApp({}, (extended) => {
    extended.get('/busy', () => {
      throw new Busy('BUSY', 'Later.', 1);
    });
  });
  const answers = await Promise.all(Array.from({ length: 100 }, () => app.inject('/busy')));
  const seconds = new Set(answers.map(({ headers }) => headers['retry-after']));
  expect([...seconds].sort()).toEqual(['1', '2', '3']);
});

describe('request ids', () => {
  it.each(['a', 'f3b1-_.:/+=@', 'x'.repeat(128)])('that are sane are kept: %s', async (id) => {
    const { app } = await readyApp();
    const response = await app.inject({ url: '/greet', headers: { 'x-request-id': id } });
    expect(response.headers['x-request-id']).toBe(id);
  });

  it('that are not are replaced', async () => {
    const { app } = await readyApp({ logLevel: 'silent' });
    const insane = fc.string({ maxLength: 300 }).filter((id) => !/^[\w.:/+=@-]{1,128}$/.test(id));
    await fc.assert(
      fc.asyncProperty(insane, async (id) => {
        const response = await app.inject({ url: '/greet', headers: { 'x-request-id': id } });
        expect(response.headers['x-request-id']).toMatch(/^[0-9a-f]{18}-[0-9a-z]+$/);
      }),
    );
  });
});

it('answers no header with a 5xx', async () => {
  const { app } = await readyApp({ logLevel: 'silent' });
  const names = fc.constantFrom(
    'accept',
    'accept-encoding',
    'accept-version',
    'authorization',
    'connection',
    'content-length',
    'content-type',
    'cookie',
    'expect',
    'if-none-match',
    'range',
    'traceparent',
    'transfer-encoding',
    'upgrade',
    'x-forwarded-for',
    'x-http-method-override',
  );
  await fc.assert(
    fc.asyncProperty(fc.dictionary(names, fc.string({ maxLength: 200 })), async (headers) => {
      const response = await app.inject({ url: '/greet/John', headers });
      expect(response.statusCode).toBeLessThan(500);
    }),
    { numRuns: 300 },
  );
});

describe('a client that is still sending when its answer comes', () => {
  it.each(['close', 'keep-alive'])('gets it (Connection: %s)', async (connection) => {
    const { url } = await listeningApp();
    for (let attempt = 0; attempt < 10; attempt++) {
      const headers = { 'content-type': 'application/json', connection, 'content-length': 20_000_000 };
      const sending = request(`${url}/echo`, { method: 'POST', headers, agent: false });
      sending.end(Buffer.alloc(20_000_000, ' '));
      const [response] = await once(sending, 'response');
      expect(response.statusCode).toBe(413);
      sending.destroy();
    }
  });

  it.each(['close', 'keep-alive'])('gets it where it reads only later (Connection: %s)', async (connection) => {
    const { app, url } = await listeningApp();
    const client = new RawConnection(url);
    client.socket.pause();
    client.send(
      `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: ${connection}\r\nContent-Length: 20000000\r\n\r\n`,
    );
    await expect.poll(() => app.requests.answered).toBe(1);
    // Were it closed, the first of these would make the kernel reset it, and the others fail.
    for (let piece = 0; piece < 3; piece++) {
      await new Promise((resolve) => client.socket.write(' '.repeat(100_000), resolve));
    }
    client.socket.resume();
    expect(await client.until('BODY_TOO_LARGE')).toMatch(/^HTTP\/1.1 413 /);
  });

  it.each([
    ['no such path', '/nowhere', 404],
    ['a body that is too large', '/echo', 413],
  ])('and then leaves, is not malformed as well: %s', async (_what, path, status) => {
    const { app, url, log } = await listeningApp();
    const client = new RawConnection(url).send(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20000000\r\n\r\n{"half":`,
    );
    await client.until(`"status":${status}`);
    client.socket.end();
    await client.closed();
    await expect.poll(() => connectionsOf(app)).toBe(0);
    expect(log.map(({ msg }) => msg)).toEqual([expect.stringContaining('listening'), 'request']);
    expect((await app.inject('/metrics')).body).not.toMatch(/^http_malformed_requests_total\{.*\} [1-9]/m);
  });

  it('is cut when it goes on without end', async () => {
    const { app, url } = await listeningApp();
    const headers = { 'content-type': 'application/json', connection: 'close', 'content-length': 1_000_000_000 };
    const sending = request(`${url}/echo`, { method: 'POST', headers, agent: false }).on('error', () => {});
    sending.write(' '.repeat(100_000));
    await once(sending, 'response');
    await expect.poll(() => connectionsOf(app), { timeout: 5000 }).toBe(0);
  });
});

function connectionsOf(app: App): Promise<number> {
  return new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count)));
}

describe('a schema', () => {
  it.each([
    ['a keyword that is none', { type: 'object', requierd: ['name'] }],
    ['a type that is none', { type: 'objekt' }],
    ['a value of a wrong type', { type: 'object', properties: { name: { type: 'string', maxLength: '5' } } }],
  ])('with %s keeps the app from getting ready', async (_mistake, params) => {
    const app = buildApp({ logLevel: 'silent', databaseUrl: 'file::memory:' });
    onTestFinished(() => app.close());
    app.get('/wrong/:name', { schema: { params } }, () => 'never');
    await expect(app.ready()).rejects.toThrow('Failed building the validation schema');
  });
});
