import { pino } from 'pino';
import supertest from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Overview } from '../../../src/app/operations/status/overview.ts';
import { Viewers } from '../../../src/app/operations/status/viewers.ts';
import { Vitals } from '../../../src/app/vitals.ts';
import { listeningApp, readyApp } from '../../support/app.ts';
import { metricOf } from '../../support/metrics.ts';
import { RawConnection } from '../../support/raw.ts';
import { Viewer } from '../../support/status.ts';

describe('/status', () => {
  it('is a page that lets in nothing but what the service has', async () => {
    const { app } = await readyApp();
    const { headers, text } = await supertest(app.server)
      .get('/status')
      .expect(200)
      .expect('content-type', /text\/html/);
    const policy = headers['content-security-policy'] ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toMatch(/unsafe|\*|http/);
    expect(text).not.toMatch(/https?:|<script>|\son\w+=|style=/);
    const scripts = [...text.matchAll(/src="(.*?)"/g)].map(([, file]) => `/${file}`);
    for (const script of [...scripts, '/status/scripts/words.js', '/status/scripts/chart.js']) {
      await supertest(app.server).get(script).expect(200).expect('content-type', 'text/javascript; charset=utf-8');
    }
    expect(scripts).toContain('/status/scripts/page.js');
  });

  it.each(['nothing.js', 'page.ts', '..%2fpage.ts', '__proto__', 'tsconfig.json'])('has no script %s', async (name) => {
    const { app } = await readyApp();
    const { body } = await supertest(app.server).get(`/status/scripts/${name}`).expect(404);
    expect(body.code).toBe('NOT_FOUND');
  });

  it('has a stream that is not asked for its headers only', async () => {
    const { app } = await readyApp();
    await supertest(app.server).head('/status/stream').expect(405);
  });
});

describe('the stream of /status', () => {
  it('begins with all charts, those of the features too', async () => {
    const { url } = await listeningApp();
    const { beginning } = await Viewer.at(url);
    const series = beginning.panels.flatMap((panel) => panel.series);
    expect(beginning.panels.map(({ title }) => title)).toContain('Requests');
    expect(series.filter(({ headline }) => headline !== null).map(({ headline }) => headline)).toContain(
      'Latency, p99',
    );
  });

  it('is counted when it begins, and is not in flight', async () => {
    const { app, url, log } = await listeningApp();
    await Viewer.at(url);
    expect(app.requests.open.length).toBe(1);
    expect(app.requests.inFlight).toBe(0);
    app.lifecycle.advance('draining');
    await expect.poll(() => app.requests.open.length).toBe(0);
    const counted = 'http_request_duration_seconds_count{method="GET",route="/status/stream",status="200"}';
    expect(await metricOf(url, counted)).toBe(1);
    const [line] = log.filter(({ route }) => route === '/status/stream');
    expect(line).toMatchObject({ status: 200, msg: 'request' });
    expect(line?.ms).toBeLessThan(1000);
  });

  it('is begun from the same for all who come within a second', async () => {
    let reads = 0;
    const read = async () => {
      reads++;
      return [];
    };
    const viewers = new Viewers(new Overview(new Vitals(), read, () => undefined), pino({ level: 'silent' }));
    onTestFinished(() => viewers.end());
    const beginning = async () => {
      const leaving = new AbortController();
      const stream = await viewers.add(leaving.signal);
      let text = '';
      stream.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
      await expect.poll(() => text, { interval: 1 }).toContain('event: beginning');
      leaving.abort();
      return text;
    };
    const first = await beginning();
    for (let viewer = 0; viewer < 20; viewer++) await beginning();
    // Where a second ended meanwhile, one more for it and one for those who look.
    expect(reads).toBeLessThanOrEqual(3);
    await expect.poll(beginning).not.toBe(first);
  });

  it('ends when the process drains, and begins no more there', async () => {
    const { app, url } = await listeningApp();
    const viewer = await Viewer.at(url);
    app.lifecycle.advance('draining');
    await viewer.until(() => false);
    expect(viewer.hasEnded).toBe(true);
    const again = await fetch(`${url}/status/stream`);
    expect(again.status).toBe(200);
    expect(await again.text()).toBe('retry: 500\n\n');
  });

  it('ends as well where its reader does not read', async () => {
    const { app, url } = await listeningApp({}, (app) => {
      app.get('/flood', (_request, reply) => {
        app.requests.lasts(reply);
        return reply.type('text/plain').send('x'.repeat(64 * 1024 * 1024));
      });
    });
    const reader = new RawConnection(url).send('GET /flood HTTP/1.1\r\nHost: x\r\n\r\n');
    await reader.until('HTTP/1.1 200');
    reader.socket.pause();
    app.lifecycle.advance('draining');
    await expect.poll(() => app.requests.open.length).toBe(0);
    expect(app.requests.answered).toBe(1);
  });

  it('is for so many at a time, and the others are told', async () => {
    const { url } = await listeningApp();
    await Promise.all(Array.from({ length: 64 }, () => Viewer.at(url)));
    const refused = await fetch(`${url}/status/stream`);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await refused.json()).toMatchObject({ code: 'TOO_MANY_VIEWERS' });
  });
});
