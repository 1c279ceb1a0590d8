import Fastify from 'fastify';
import supertest from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Check, Checks } from '../../../src/app/checks.ts';
import { Lifecycle } from '../../../src/app/lifecycle.ts';
import { Metrics } from '../../../src/app/metrics/metrics.ts';
import { health } from '../../../src/app/operations/health.ts';
import { metricsRoute } from '../../../src/app/operations/metrics.ts';
import { ServiceMetrics } from '../../../src/app/operations/service-metrics.ts';
import { listeningApp, readyApp } from '../../support/app.ts';
import { RawConnection } from '../../support/raw.ts';

describe('health', () => {
  it('is live from the beginning to the end', async () => {
    const { app } = await readyApp();
    for (const state of ['ready', 'draining', 'closed'] as const) {
      await supertest(app.server).get('/livez').expect(200, { status: 'ok' }).expect('cache-control', 'no-store');
      app.lifecycle.advance(state);
    }
    await supertest(app.server).get('/livez').expect(200);
  });

  it('is ready only between starting and draining', async () => {
    const { app } = await readyApp();
    await supertest(app.server).get('/readyz').expect(503, { status: 'starting' });
    app.lifecycle.advance('ready');
    await supertest(app.server).get('/readyz').expect(200, { status: 'ready' });
    app.lifecycle.advance('draining');
    await supertest(app.server).get('/readyz').expect(503, { status: 'draining' });
  });

  it('is not ready while something that it needs is not there', async () => {
    const checks = new Checks();
    const lifecycle = new Lifecycle();
    const app = Fastify().register(health, {
      lifecycle,
      checks,
      version: '1',
      worker: '1',
      supervisor: () => undefined,
    });
    onTestFinished(() => app.close());
    let check: Check = { status: 'ok' };
    checks.add('disk', () => check);
    lifecycle.advance('ready');
    expect((await app.inject('/readyz')).statusCode).toBe(200);
    check = { status: 'unavailable', reason: 'it is full' };
    const response = await app.inject('/readyz');
    expect(response.statusCode).toBe(503);
    expect(response.json()).toEqual({ status: 'unavailable', failing: ['disk'] });
    expect((await app.inject('/health')).json()).toMatchObject({ status: 'unavailable', checks: { disk: check } });
    expect((await app.inject('/livez')).statusCode).toBe(200);
  });

  it('tells people what is known', async () => {
    const { app } = await readyApp();
    app.lifecycle.advance('ready');
    const { body } = await supertest(app.server).get('/health').expect(200);
    expect(body).toEqual({
      status: 'ok',
      // And those of the features.
      checks: expect.objectContaining({ lifecycle: { status: 'ok', state: 'ready' } }),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      node: process.version,
      worker: 'single',
      pid: process.pid,
      uptimeSeconds: expect.any(Number),
    });
    app.lifecycle.advance('draining');
    await supertest(app.server).get('/health').expect(503);
  });
});

describe('metrics', () => {
  const samples = (text: string, name: string) => text.split('\n').filter((line) => line.startsWith(name));

  it('count each request under its route, never under what the client sent', async () => {
    const { app } = await readyApp();
    await app.inject('/greet/John');
    await app.inject('/greet/Jane');
    await app.inject('/count?number=x');
    for (let scan = 0; scan < 50; scan++) await app.inject(`/scan-${scan}`);
    const { text } = await supertest(app.server)
      .get('/metrics')
      .expect(200)
      .expect('content-type', /text\/plain/);
    expect(samples(text, 'http_request_duration_seconds_count')).toEqual([
      'http_request_duration_seconds_count{method="GET",route="/greet/:name",status="200",worker="single"} 2',
      'http_request_duration_seconds_count{method="GET",route="/count",status="400",worker="single"} 1',
      'http_request_duration_seconds_count{method="GET",route="(unmatched)",status="404",worker="single"} 50',
    ]);
    expect(text).toContain('process_cpu_user_seconds_total');
    const [, leastLag] = /^nodejs_eventloop_lag_min_seconds\{worker="single"\} (.*)$/m.exec(text) ?? [];
    expect(Number(leastLag)).toBeLessThan(60);
  });

  it('tell whether what the service needs is there', async () => {
    const metrics = new Metrics('1');
    const checks = new Checks();
    metrics.watchChecks(checks);
    let check: Check = { status: 'ok' };
    checks.add('disk', () => check);
    const told = async () => samples(await metrics.text(), 'service_check_success{');
    expect(await told()).toEqual(['service_check_success{check="disk",worker="1"} 1']);
    check = { status: 'unavailable', reason: 'it is full' };
    expect(await told()).toEqual(['service_check_success{check="disk",worker="1"} 0']);
  });

  it('have what is refused from the start, so that the first one is an increase', async () => {
    const { app } = await readyApp();
    const { body } = await app.inject('/metrics');
    for (const series of ['http_malformed_requests_total{status="400"', 'http_requests_shed_total{reason="turn"'])
      expect(samples(body, series)).toEqual([`${series},worker="single"} 0`]);
  });

  it('have requests and errors from the start, without those of operators and without refusals', async () => {
    const { app } = await readyApp({}, (extended) => {
      extended.get('/fails', () => {
        throw new Error('it fails');
      });
      extended.get('/refuses', (_request, reply) => reply.code(503).send());
      extended.get('/asks', { config: { isOperation: true } }, () => {
        throw new Error('it fails as well');
      });
    });
    const counted = async () => {
      const { body } = await app.inject('/metrics');
      return ['http_requests_total', 'http_request_errors_total'].map((name) => samples(body, name)[0]?.split(' ')[1]);
    };
    expect(await counted()).toEqual(['0', '0']);
    for (const url of ['/greet', '/fails', '/refuses', '/asks', '/livez']) await app.inject(url);
    expect(await counted()).toEqual(['3', '1']);
  });

  it('are collected at most ten times a second, and each time anew', async () => {
    const collectedAt: number[] = [];
    const app = Fastify().register(metricsRoute, {
      metrics: new Metrics('1'),
      service: new ServiceMetrics(() => undefined),
      supervisor: () => undefined,
      askSiblings: async () => {
        collectedAt.push(performance.now());
        return {
          answers: [`# HELP asked_total Times.\n# TYPE asked_total counter\nasked_total ${collectedAt.length}`],
          missing: 0,
        };
      },
    });
    onTestFinished(() => app.close());
    for (let time = 1; time <= 4; time++) expect((await app.inject('/metrics')).body).toContain(`asked_total ${time}`);
    const gaps = collectedAt.slice(1).map((at, index) => at - (collectedAt[index] ?? 0));
    // A timer may be early by a millisecond.
    expect(Math.min(...gaps)).toBeGreaterThan(98);
  });

  it('tell how many requests are in flight, also when clients leave', async () => {
    const { app, url, log } = await listeningApp();
    const inFlight = async () => samples((await app.inject('/metrics')).body, 'http_requests_in_flight')[0];
    const client = new RawConnection(url).send('GET /never HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => app.requests.open.length).toBe(1);
    // The scrape itself is one, too.
    expect(await inFlight()).toBe('http_requests_in_flight{worker="single"} 2');
    client.socket.destroy();
    await expect.poll(() => app.requests.open.length).toBe(0);
    expect(await inFlight()).toBe('http_requests_in_flight{worker="single"} 1');
    expect(log).toContainEqual(expect.objectContaining({ msg: 'request', route: '/never', status: 499 }));
  });
});

describe('the request log', () => {
  it('has one line for each request, with the id but without the query', async () => {
    const { app, log } = await readyApp();
    await app.inject({ url: '/greet/John?token=secret', headers: { 'x-request-id': 'abc', cookie: 'secret' } });
    expect(log).toEqual([
      {
        level: 'info',
        time: expect.any(Number),
        pid: process.pid,
        worker: 'test',
        requestId: 'abc',
        method: 'GET',
        route: '/greet/:name',
        status: 200,
        ms: expect.any(Number),
        msg: 'request',
      },
    ]);
  });

  it('is a whole logger for handlers, with the id in each line and a level of its own', async () => {
    const { app, log } = await readyApp({ requestLog: false }, (extended) => {
      extended.get('/logs', (request, reply) => {
        request.log.info({ part: 1 }, 'one of %s', 'two');
        reply.log.child({ child: true }).warn('two of two');
        request.log.level = 'error';
        request.log.warn('too low');
        request.log.error(new Error('failed'));
        return request.log.level;
      });
    });
    log.length = 0;
    const response = await app.inject({ url: '/logs', headers: { 'x-request-id': 'abc' } });
    expect(response.body).toBe('error');
    expect(log).toEqual([
      expect.objectContaining({ level: 'info', requestId: 'abc', part: 1, msg: 'one of two' }),
      expect.objectContaining({ level: 'warn', requestId: 'abc', child: true, msg: 'two of two' }),
      expect.objectContaining({ level: 'error', requestId: 'abc', msg: 'failed' }),
    ]);
    app.log.info('the app');
    expect(log.at(-1)).toMatchObject({ level: 'info', msg: 'the app' });
  });

  it('names the path where there is no route', async () => {
    const { app, log, url } = await listeningApp();
    log.length = 0;
    await app.inject('/wp-login.php?token=secret');
    expect(log[0]).toMatchObject({ route: '(unmatched)', path: '/wp-login.php', status: 404 });
    await new RawConnection(url).send('GET http://user:secret@x/nothing HTTP/1.0\r\n\r\n').closed();
    await expect.poll(() => log[1]).toMatchObject({ path: '/nothing', status: 404 });
  });

  it('does not name the path that another method answers', async () => {
    const { app, log } = await readyApp();
    await app.inject({ method: 'POST', url: '/greet/Mary' });
    expect(log[0]).toMatchObject({ route: '(unmatched)', status: 405 });
    expect(JSON.stringify(log)).not.toContain('Mary');
  });

  it('can be switched off', async () => {
    const { app, log } = await readyApp({ requestLog: false });
    await app.inject('/greet');
    await app.inject('/nothing');
    expect(log).toEqual([]);
  });
});
