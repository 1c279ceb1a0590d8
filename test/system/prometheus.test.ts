import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BusyClients, type Kind } from '../support/clients.ts';
import { Cluster } from '../support/cluster.ts';
import { ROOT } from '../support/paths.ts';
import { Prometheus, promtool, SHIPPED } from '../support/prometheus.ts';

const RELOADS = 5;

/** Two kinds of clients, so many of each, that pause: neither they nor the service are to be short of CPU, or no scrape would be in time. */
const KINDS: Kind[] = ['keep-alive', 'new connection each'];
const CLIENTS = 16;
const PAUSE_MS = 40;

/**
 * Answers of each kind before the reloads and after them. For each process that ends increase() adds what it would have counted in half an
 * interval more, though it was idle for most of that: ten times a twentieth of a second of all load, which is to be little of the whole.
 */
const ANSWERS = 8500;

const poll = { timeout: 60_000 };

const GREETED = 'http_request_duration_seconds_count{route=~"/greet.*"}';

/** Uses what the load does not, until it is stopped: an answer of any status will do. */
function useFeatures(url: string): () => Promise<void> {
  let isStopped = false;
  const headers = { connection: 'close', 'content-type': 'application/json' };
  const use = async () => {
    while (!isStopped) {
      await (await fetch(`${url}/sort?count=1000`, { headers })).text();
      await (await fetch(`${url}/events`, { method: 'POST', headers, body: '{"type":"used"}' })).text();
      await sleep(100);
    }
  };
  const all = use();
  return () => {
    isStopped = true;
    return all;
  };
}

/** What `count` grows by a second, each second, until it is asked for. */
function watchRate(count: () => number): () => number[] {
  const rates: number[] = [];
  let last = { at: performance.now(), count: count() };
  const timer = setInterval(() => {
    const now = { at: performance.now(), count: count() };
    rates.push(((now.count - last.count) * 1000) / (now.at - last.at));
    last = now;
  }, 1000);
  return () => {
    clearInterval(timer);
    return rates;
  };
}

/** Every expression of the dashboard, as Grafana would send it. */
function dashboardQueries(): string[] {
  const dashboard = readFileSync(path.join(ROOT, 'deploy/grafana/mainstay.json'), 'utf8');
  const expressions: string[] = [];
  JSON.parse(dashboard, (key, value) => {
    if (key === 'expr') expressions.push(value);
    return value;
  });
  return expressions.map((expr) => expr.replaceAll('$__rate_interval', '20s').replaceAll('$instance', '.+'));
}

describe('Prometheus', () => {
  it.each([2, 4])(
    'counts what clients were answered by %d workers, also while these are replaced; all rules work, and the dashboard has data',
    async (workers) => {
      const service = new Cluster({ WORKERS: String(workers), REQUEST_LOG: 'false', RELOAD_IDLE_MS: '500' });
      const url = await service.started(workers);
      const prometheus = await Prometheus.scraping(url);
      onTestFinished(() => prometheus.stop());
      const one = async (expression: string) => (await prometheus.query(expression))[0]?.value;
      await expect.poll(() => one('count(process_start_time_seconds)'), poll).toBe(workers);

      const startedAt = Date.now();
      const stopFeatures = useFeatures(url);
      const all = KINDS.map((kind) => new BusyClients({ url, kind, clients: CLIENTS, pauseMs: PAUSE_MS }));
      const answered = () => all.reduce((sum, clients) => sum + clients.answered, 0);
      const ratesOfClients = watchRate(answered);
      await Promise.all(all.map((clients) => clients.asked(ANSWERS)));
      for (let reload = 1; reload <= RELOADS; reload++) {
        service.child.kill('SIGHUP');
        await service.logged('reload: done', reload);
      }
      await Promise.all(all.map((clients) => clients.asked(ANSWERS)));
      await Promise.all([stopFeatures(), ...all.map((clients) => clients.stop())]);
      const fastest = Math.max(...ratesOfClients());
      const stoppedAt = Date.now();
      expect(all.flatMap(({ failures }) => failures)).toEqual([]);
      await expect.poll(() => one('timestamp(up == 1)'), poll).toBeGreaterThan(stoppedAt / 1000);

      // At the time of a scrape: increase() would guess what has come since.
      const scrapedAt = 1000 * ((await one('timestamp(up)')) ?? 0);
      const seconds = Math.ceil((scrapedAt - startedAt) / 1000) + 1;
      const [counted = { value: 0 }] = await prometheus.query(`sum(increase(${GREETED}[${seconds}s]))`, scrapedAt);
      const rates = await prometheus.history(`sum(rate(${GREETED}[5s]))`, startedAt, stoppedAt);
      console.log({ answered: answered(), counted: Math.round(counted.value), fastest, highest: Math.max(...rates) });
      expect(counted.value / answered()).toBeGreaterThan(0.98);
      expect(counted.value / answered()).toBeLessThan(1.02);
      expect(Math.max(...rates)).toBeLessThan(1.25 * fastest);

      const without: string[] = [];
      for (const query of dashboardQueries()) {
        const series = await prometheus.query(query, stoppedAt);
        if (!series.some(({ value }) => Number.isFinite(value))) without.push(query);
      }
      expect(without).toEqual([]);

      await expect
        .poll(async () => (await prometheus.rules()).filter(({ health }) => health === 'unknown'), poll)
        .toEqual([]);
      const rules = await prometheus.rules();
      expect(rules.length).toBeGreaterThan(0);
      expect(rules.filter(({ health, state }) => health !== 'ok' || state === 'firing')).toEqual([]);
    },
  );

  it('has nothing to say against /metrics', async () => {
    const service = new Cluster();
    const url = await service.started();
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(await promtool(['check', 'metrics'], metrics)).toEqual({ code: 0, output: '' });
  });

  it.each([
    ['check', 'config', 'prometheus.yml'],
    ['check', 'rules', 'mainstay.rules.yml'],
    ['test', 'rules', 'mainstay.rules.test.yml'],
  ])('promtool %s %s %s', async (what, kind, file) => {
    const { code, output } = await promtool([what, kind, path.join(SHIPPED, file)]);
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('SUCCESS') });
  });
});
