import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { METHODS } from 'node:http';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Cluster, gone, greet } from '../support/cluster.ts';
import { EXTRA_ROUTES } from '../support/paths.ts';
import { Pm2 } from '../support/pm2.ts';
import { RawConnection } from '../support/raw.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

type Sample = { readonly name: string; readonly labels: Record<string, string>; readonly value: number };

async function scrape(url: string): Promise<Sample[]> {
  const text = await (await fetch(`${url}/metrics`, { headers: { connection: 'close' } })).text();
  return text
    .split('\n')
    .map((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, name = '', labels = '', value]) => ({
      name,
      labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text])),
      value: Number(value),
    }));
}

function sum(samples: Sample[], name: string, labels: Record<string, string> = {}): number {
  return samples
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .reduce((total, { value }) => total + value, 0);
}

const ALONE =
  'the others do not find this process: there is no place for its files in TMPDIR, or the path is too long for a socket';

const GREETED = { route: '/greet' };
const greeted = (samples: Sample[]) => sum(samples, 'http_request_duration_seconds_count', GREETED);
const processes = (samples: Sample[]) => samples.filter(({ name }) => name === 'process_cpu_seconds_total').length;
const missing = (samples: Sample[]) => sum(samples, 'service_workers_missing');

function get(path: string, more = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
}

/** Kept ones, to two different workers. */
async function connectionsToEach(url: string): Promise<[RawConnection, RawConnection]> {
  const byPid = new Map<string | undefined, RawConnection>();
  while (byPid.size < 2) {
    const connection = new RawConnection(url).send(get('/health'));
    await connection.until('"pid"');
    byPid.set(/"pid":(\d+),/.exec(await connection.until('"uptimeSeconds"'))?.[1], connection);
  }
  const [one, other] = [...byPid.values()];
  if (one === undefined || other === undefined) throw new Error('they are not two');
  return [one, other];
}

/** The names of the sockets in there, by what a descriptor of the process that listens there is a link to. */
function siblingSockets(folder: string): Map<string, string> {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n');
  const listening = lines.map((line) => line.split(/\s+/)).filter(([, , , flags]) => flags === '00010000');
  return new Map(
    listening
      .filter((columns) => columns[7]?.startsWith(folder))
      .map((columns) => [`socket:[${columns[6]}]`, path.basename(columns[7] ?? '')]),
  );
}

/** Descriptors come and go. */
function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

/** Asks for random paths with random methods, many at a time on each connection. @returns how many were answered */
async function scan(url: string, requests: number): Promise<number> {
  const connections = 20;
  // After CONNECT a connection speaks no HTTP any more: those have one of their own below.
  const methods = METHODS.filter((method) => method !== 'CONNECT');
  const random = () => Math.random().toString(36).slice(2);
  const ask = (more = '') =>
    `${methods[Math.floor(Math.random() * methods.length)]} /${random()}/${random()}?${random()} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
  const answered = Array.from({ length: connections }, async () => {
    const asked = Array.from({ length: requests / connections - 1 }, () => ask()).join('');
    const text = await new RawConnection(url).send(asked + ask('Connection: close\r\n')).closed();
    return text.split('HTTP/1.1 ').length - 1;
  });
  return (await Promise.all(answered)).reduce((sum, count) => sum + count, 0);
}

describe('the metrics of several workers', () => {
  it('are told by whichever is asked, each series with its worker', async () => {
    const service = new Cluster({ WORKERS: '3' });
    const url = await service.started(3);
    await greet(url, 60);
    // Asked for the first time, each has to load what it answers with: on a busy machine the others do not wait for that.
    await expect.poll(async () => missing(await scrape(url))).toBe(0);
    for (let asked = 0; asked < 10; asked++) {
      const samples = await scrape(url);
      // Together: where something is lost, it matters whether somebody was missing.
      const told = { greeted: greeted(samples), processes: processes(samples), missing: missing(samples) };
      expect(told).toEqual({ greeted: 60, processes: 3, missing: 0 });
      expect(samples.filter(({ labels }) => labels.worker === undefined)).toEqual([]);
    }
  });

  it('tell of the supervisor', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    await expect.poll(async () => sum(await scrape(url), 'supervisor_workers_ready')).toBe(2);
    expect(sum(await scrape(url), 'supervisor_workers_wanted')).toBe(2);
    process.kill(service.workers[0] ?? 0, 'SIGKILL');
    await service.started(3);
    service.child.kill('SIGHUP');
    await service.logged('reload: done');
    await expect.poll(async () => sum(await scrape(url), 'supervisor_reloads_total', { result: 'ok' })).toBe(1);
    const samples = await scrape(url);
    expect(sum(samples, 'supervisor_worker_restarts_total', { reason: 'killed' })).toBe(1);
    expect(sum(samples, 'supervisor_worker_restarts_total')).toBe(1);
    expect(sum(samples, 'supervisor_workers_ready')).toBe(2);
    expect(sum(samples, 'supervisor_last_reload_success')).toBe(1);
    expect(sum(samples, 'supervisor_last_reload_duration_seconds')).toBeGreaterThan(0);
  });

  it('wait only shortly for one that is busy, and say that it is missing', async () => {
    const service = new Cluster();
    const url = await service.started(2);
    const [idle, busy] = await connectionsToEach(url);
    busy.send(get('/block?ms=5000'));
    for (let time = 0; time < 3; time++) {
      idle.received = '';
      const startedAt = performance.now();
      const text = await idle.send(get('/metrics')).until('nodejs_version_info{');
      expect(text).toContain('service_workers_missing{worker="all"} 1');
      expect(performance.now() - startedAt).toBeLessThan(1200);
    }
    busy.received = '';
    await busy.until('done');
    await expect.poll(async () => missing(await scrape(url))).toBe(0);
  });

  it('are complete where it is the one that is asked that stood still', async () => {
    const url = await new Cluster().started(2);
    await greet(url, 1);
    // All others have been asked when it begins to stand still, and nobody's answer has been read.
    const asker = new RawConnection(url).send(get('/metrics') + get('/block?ms=1500', 'Connection: close\r\n'));
    expect(await asker.closed()).toContain('service_workers_missing{worker="all"} 0');
  });

  it.runIf(process.platform === 'linux').each(['shared', 'round-robin'])(
    'pass through no other process where DISPATCH is %s',
    async (DISPATCH) => {
      const folder = temporaryFolder();
      const service = new Cluster({ DISPATCH, TMPDIR: folder });
      await service.started(2);
      const listening = (pid: number) =>
        readdirSync(`/proc/${pid}/fd`)
          .map((descriptor) => linkOf(`/proc/${pid}/fd/${descriptor}`))
          .filter((link) => siblingSockets(folder).has(link))
          .map((link) => siblingSockets(folder).get(link));
      expect(service.workers.map(listening)).toEqual(service.workers.map((pid) => [`${pid}.sock`]));
      expect(listening(service.pid)).toEqual([]);
    },
  );

  it('are complete again after a kill, and nothing is left behind', async () => {
    const folder = temporaryFolder();
    const sockets = () => {
      const [base = ''] = readdirSync(folder).filter((name) => name.startsWith('mainstay-'));
      return readdirSync(path.join(folder, base), { recursive: true }).map((name) => path.basename(String(name)));
    };
    const service = new Cluster({ TMPDIR: folder });
    const url = await service.started(2);
    const [killed = 0] = service.workers;
    process.kill(killed, 'SIGKILL');
    await service.started(3);
    await expect.poll(async () => processes(await scrape(url))).toBe(2);
    await expect.poll(async () => missing(await scrape(url))).toBe(0);
    expect(sockets()).not.toContain(`${killed}.sock`);

    // Otherwise it might start another worker meanwhile, which would find all of them gone and tidy up.
    process.kill(service.pid, 'SIGSTOP');
    for (const pid of [...service.workers.slice(1), service.pid]) process.kill(pid, 'SIGKILL');
    await Promise.all([service.pid, ...service.workers].map(gone));
    expect(sockets()).toContain(`${service.workers[1]}.sock`);
    const next = new Cluster({ TMPDIR: folder });
    await next.started(2);
    expect(sockets()).not.toContain(`${service.workers[1]}.sock`);
    next.child.kill('SIGTERM');
    await next.ended();
    expect(sockets()).toEqual([]);
  });

  it('never mix with those of another service on the same machine', async () => {
    const folder = temporaryFolder();
    const [one, other] = [new Cluster({ TMPDIR: folder }), new Cluster({ TMPDIR: folder })];
    const urls = [await one.started(2), await other.started(2)] as const;
    await Promise.all([greet(urls[0], 7), greet(urls[1], 11)]);
    expect(greeted(await scrape(urls[0]))).toBe(7);
    expect(greeted(await scrape(urls[1]))).toBe(11);
  });

  it('are those of the worker alone where there is no place for sockets, and the others are missing', async () => {
    const service = new Cluster({ TMPDIR: '/dev/null' });
    const url = await service.started(2);
    await greet(url, 3);
    const samples = await scrape(url);
    expect(processes(samples)).toBe(1);
    expect(missing(samples)).toBe(1);
    await service.logged(ALONE, 2);
  });

  it('do not become more by a scan of 100,000 random paths with random methods', async () => {
    const service = new Cluster({ REQUEST_LOG: 'false' });
    const url = await service.started(2);
    const before = await scrape(url);
    expect(await scan(url, 102_000)).toBe(102_000);
    const ask = (line: string) => new RawConnection(url).send(`${line} HTTP/1.1\r\nHost: x\r\n\r\n`).closed();
    for (let time = 0; time < 100; time++) {
      const random = Math.random().toString(36).slice(2);
      await ask(`M${random} /`);
      expect(await ask(`CONNECT ${random}:443`)).toMatch(/^HTTP\/1.1 405 /);
    }
    const after = await scrape(url);
    expect(sum(after, 'http_request_duration_seconds_count', { route: '(unmatched)' })).toBe(102_000);
    expect(sum(after, 'http_malformed_requests_total', { status: '400' })).toBe(100);
    expect(sum(after, 'http_malformed_requests_total', { status: '405' })).toBe(100);
    const routes = new Set(after.map(({ labels }) => labels.route));
    expect(routes).toEqual(new Set([undefined, '(unmatched)', '/metrics']));
    const methods = new Set(after.map(({ labels }) => labels.method));
    expect(methods).toEqual(
      new Set([undefined, 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE', '_OTHER']),
    );
    // Of these methods, each with a few statuses.
    expect(after.length).toBeLessThan(before.length + 500);
  });

  it('are those of the worker alone where somebody else has the folder, and the log says what to do', async () => {
    const folder = temporaryFolder();
    const users = path.join(folder, `mainstay-${process.getuid?.()}`);
    mkdirSync(users);
    chmodSync(users, 0o777);
    const service = new Cluster({ TMPDIR: folder });
    const url = await service.started(2);
    expect(missing(await scrape(url))).toBe(1);
    await service.logged(ALONE, 2);
    expect(service.lines(ALONE)[0]).toMatchObject({ err: { message: expect.stringMatching(/remove it.*set TMPDIR/) } });
  });

  it('are in a folder that others cannot use', async () => {
    const folder = temporaryFolder();
    const service = new Cluster({ TMPDIR: folder });
    await service.started(2);
    const base = path.join(folder, `mainstay-${process.getuid?.()}`);
    expect(existsSync(base)).toBe(true);
    const mode = spawn('stat', ['-c', '%a', base], { stdio: ['ignore', 'pipe', 'ignore'] });
    expect(String(await mode.stdout.toArray())).toBe('700\n');
  });
});

it('PM2: any instance tells those of all, also in a reload', async () => {
  const folder = temporaryFolder();
  const NODE_OPTIONS = `--import=${EXTRA_ROUTES}`;
  const pm2 = new Pm2({ PORT: '0', HOST: '127.0.0.1', WORKERS: '2', TMPDIR: folder, NODE_OPTIONS });
  onTestFinished(() => pm2.kill());
  await pm2.run(['start', 'ecosystem.config.js']);
  const port = () => pm2.log.find(({ msg }) => msg === 'ready')?.port;
  await expect.poll(port).toBeDefined();
  const url = `http://127.0.0.1:${port()}`;
  for (let time = 0; time < 20; time++)
    await (await fetch(`${url}/greet`, { headers: { connection: 'close' } })).text();
  const greetedBy = (samples: Sample[]) => sum(samples, 'http_request_duration_seconds_count', { route: '/greet' });
  for (let asked = 0; asked < 6; asked++) {
    const samples = await scrape(url);
    expect(processes(samples)).toBe(2);
    expect(greetedBy(samples)).toBe(20);
  }
  await pm2.run(['reload', 'ecosystem.config.js']);
  await expect.poll(async () => processes(await scrape(url))).toBe(2);
  const workers = (await scrape(url)).filter(({ name }) => name === 'process_cpu_seconds_total');
  expect(new Set(workers.map(({ labels }) => labels.worker)).size).toBe(2);
});
