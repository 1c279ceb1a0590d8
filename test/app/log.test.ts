import type { Logger } from 'pino';
import { describe, expect, it } from 'vitest';
import { readyApp } from '../support/app.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('the log', () => {
  it('has nothing of what clients send but ids, methods and paths that nobody answers', async () => {
    const { app, log } = await readyApp({ logLevel: 'trace' }, (extended) => {
      extended.get('/logs', (request) => {
        request.log.debug('a line of the handler');
        throw new Error('a failure of the handler');
      });
    });
    const canary = 'canary-4711';
    const headers = {
      authorization: `Bearer ${canary}`,
      cookie: `session=${canary}`,
      'proxy-authorization': canary,
      'x-api-key': canary,
      'x-forwarded-for': canary,
      'user-agent': canary,
      referer: `http://x/${canary}`,
    };
    const json = { 'content-type': 'application/json' };
    for (const url of ['/greet', `/greet/${canary}`, '/logs', '/count', '/nowhere', '/echo', '/metrics']) {
      await app.inject({ url: `${url}?token=${canary}&number=${canary}`, headers });
      await app.inject({ method: 'POST', url: `${url}?token=${canary}`, headers, payload: { password: canary } });
      await app.inject({ method: 'POST', url, headers: { ...headers, ...json }, payload: `{"password": "${canary}` });
    }
    expect(log.length).toBeGreaterThan(20);
    expect(JSON.stringify(log)).not.toContain(canary);
  });

  it('has no secrets where a handler logs requests, answers and headers as they are', async () => {
    const { app, log } = await readyApp({}, (extended) => {
      extended.get('/logs', (request, reply) => {
        const { headers } = request;
        request.log.info({ req: request.raw, request, res: reply.raw, reply, headers, ...headers }, 'all of it');
        request.log.info({ headers: reply.header('set-cookie', 'canary').getHeaders() }, 'all of it');
        request.log.child({ req: request, headers }).info('all of it');
        return 'done';
      });
    });
    const secret = {
      authorization: 'canary',
      cookie: 'canary',
      'proxy-authorization': 'canary',
      'x-api-key': 'canary',
    };
    await app.inject({ url: '/logs?token=canary', headers: { ...secret, 'user-agent': 'a test' } });
    const lines = log.filter(({ msg }) => msg === 'all of it');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatchObject({
      req: { method: 'GET' },
      request: { method: 'GET', route: '/logs' },
      res: { status: 200 },
      headers: { 'user-agent': 'a test', cookie: '[Redacted]' },
    });
    expect(JSON.stringify(log)).not.toContain('canary');
  });

  it('of a request can do whatever any of pino can', async () => {
    const { app, log } = await readyApp({}, (extended) => {
      extended.get('/logs', (request) => {
        const own = request.log as Logger;
        const pinos = own.child({});
        const names: string[] = [];
        for (let of = pinos; 'child' in of; of = Object.getPrototypeOf(of)) names.push(...Object.keys(of));
        const kinds = (logger: object) => names.map((name) => [name, typeof Reflect.get(logger, name)]);
        expect(kinds(own)).toEqual(kinds(pinos));
        expect(own.isLevelEnabled('debug')).toBe(false);
        own.level = 'debug';
        expect(own.isLevelEnabled('debug')).toBe(true);
        own.setBindings({ more: 1 });
        expect(own.bindings()).toMatchObject({ requestId: request.id, more: 1 });
        own.flush();
        return 'done';
      });
    });
    await app.inject('/logs');
    expect(log).toMatchObject([{ msg: 'request', status: 200 }]);
  });

  it('has the ids of the trace that a request belongs to, in each line of it', async () => {
    const { app, log } = await readyApp({}, (extended) => {
      extended.get('/logs', (request) => {
        request.log.info('a line of the handler');
        return 'done';
      });
    });
    await app.inject({ url: '/logs', headers: { traceparent: `00-${TRACE}-${SPAN}-01` } });
    expect(log).toHaveLength(2);
    for (const line of log)
      expect(line).toMatchObject({ trace_id: TRACE, span_id: SPAN, requestId: log[0]?.requestId });
  });

  it.each([
    ['none', ''],
    ['zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['too short', `00-${TRACE}-b7-01`],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['more than version 00 has', `00-${TRACE}-${SPAN}-01-x`],
    ['something else', '"}\n{"level":"fatal"'],
  ])('has no ids of a trace where the header is wrong: %s', async (_what, traceparent) => {
    const { app, log } = await readyApp();
    await app.inject({ url: '/greet', headers: { traceparent } });
    expect(log[0]).not.toHaveProperty('trace_id');
    expect(log[0]).not.toHaveProperty('span_id');
  });

  it('has the ids of a trace whose header is of a later version', async () => {
    const { app, log } = await readyApp();
    await app.inject({ url: '/greet', headers: { traceparent: `cc-${TRACE}-${SPAN}-01-what-is-new` } });
    expect(log[0]).toMatchObject({ trace_id: TRACE, span_id: SPAN });
  });

  it('has requests that took long as warnings, also where requests are not logged', async () => {
    const { app, log } = await readyApp({ requestLog: false });
    await app.inject('/slow?ms=1');
    await app.inject('/slow?ms=1010');
    expect(log).toEqual([expect.objectContaining({ level: 'warn', msg: 'slow request', route: '/slow', status: 200 })]);
  });
});
