import { METHODS } from 'node:http';
import fc from 'fast-check';
import supertest from 'supertest';
import { describe, expect, it } from 'vitest';
import { readyApp } from '../support/app.ts';

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

  it.each(METHODS.filter((method) => !['GET', 'HEAD', 'CONNECT'].includes(method)))(
    'is told 405 and what is allowed where %s is not answered',
    async (method) => {
      const { app } = await readyApp();
      const response = await app.inject({ method: method as 'POST', url: '/hello/John?x=1' });
      expect(response.statusCode).toBe(405);
      expect(response.headers.allow).toBe('GET, HEAD');
      expect(response.json()).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' });
    },
  );

  it('is answered before its body is looked at', async () => {
    const { app } = await readyApp();
    const body = { headers: { 'content-type': 'text/xml' }, payload: '<x/>' };
    expect((await app.inject({ method: 'POST', url: '/hello', ...body })).statusCode).toBe(405);
    expect((await app.inject({ method: 'POST', url: '/nothing', ...body })).statusCode).toBe(404);
  });
});

describe('a path that the router refuses', () => {
  it.each([
    ['/hello/%E0%A4%A', 400, 'FST_ERR_BAD_URL'],
    ['/hello/%ED%A0%80', 400, 'FST_ERR_BAD_URL'],
    [`/hello/${'a'.repeat(5000)}`, 414, 'FST_ERR_MAX_PARAM_LENGTH'],
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
    expect(app.requests.open.size).toBe(0);
  });
});

describe('a body', () => {
  const withEcho = () =>
    readyApp({}, (app) => {
      const body = {
        type: 'object',
        required: ['a'],
        properties: { a: { type: 'object', properties: { b: { type: 'integer' } } } },
      } as const;
      app.post('/echo', { schema: { body } }, (request) => request.body);
    });
  const json = { 'content-type': 'application/json' };

  it.each([
    ['of a type that nobody reads', { 'content-type': 'text/xml' }, '<a/>', 415],
    ['that is no JSON', json, '{', 400],
    ['that is too large', json, JSON.stringify({ a: 'x'.repeat(1024 * 1024) }), 413],
    ['that poisons prototypes', json, '{"__proto__":{"x":1}}', 400],
  ])('%s is refused', async (_what, headers, payload, status) => {
    const { app } = await withEcho();
    const response = await app.inject({ method: 'POST', url: '/echo', headers, payload });
    expect(response.statusCode).toBe(status);
    expect(response.headers['content-type']).toBe(PROBLEM);
    expect(response.json()).toMatchObject({ status, instance: response.headers['x-request-id'] });
  });

  it('that does not fit its schema is refused with a pointer to the place', async () => {
    const { app } = await withEcho();
    const wrong = await app.inject({ method: 'POST', url: '/echo', payload: { a: { b: '1' } } });
    expect(wrong.json().errors).toEqual([{ in: 'body', pointer: '/a/b', detail: 'must be integer' }]);
    const missing = await app.inject({ method: 'POST', url: '/echo', payload: {} });
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

  it('keeps the status that its error carries', async () => {
    const teapot = Object.assign(new Error('short and stout'), { statusCode: 418, code: 'TEAPOT' });
    const { app } = await readyApp({}, (extended) => extended.get('/tea', () => Promise.reject(teapot)));
    expect((await app.inject('/tea')).json()).toMatchObject({ status: 418, code: 'TEAPOT', detail: 'short and stout' });
  });
});

describe('request ids', () => {
  it.each(['a', 'f3b1-_.:/+=@', 'x'.repeat(128)])('that are sane are kept: %s', async (id) => {
    const { app } = await readyApp();
    const response = await app.inject({ url: '/hello', headers: { 'x-request-id': id } });
    expect(response.headers['x-request-id']).toBe(id);
  });

  it('that are not are replaced', async () => {
    const { app } = await readyApp({ logLevel: 'silent' });
    const insane = fc.string({ maxLength: 300 }).filter((id) => !/^[\w.:/+=@-]{1,128}$/.test(id));
    await fc.assert(
      fc.asyncProperty(insane, async (id) => {
        const response = await app.inject({ url: '/hello', headers: { 'x-request-id': id } });
        expect(response.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
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
      const response = await app.inject({ url: '/hello/John', headers });
      expect(response.statusCode).toBeLessThan(500);
    }),
    { numRuns: 300 },
  );
});
