import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { apps } from '../ecosystem.config.js';
import { BusyClients } from './support/clients.ts';
import { EXTRA_ROUTES, type LogLine, OLD_NODE, ROOT } from './support/processes.ts';
import { RawConnection } from './support/raw.ts';

const PM2 = path.join(ROOT, 'node_modules/pm2/bin/pm2');
const BREAK_INSTANCE = path.join(ROOT, 'test/support/break-instance.js');

type Outcome = { code: number; output: string };
type Instance = { pid: number; pm2_env: { status: string; restart_time: number; exit_code?: number } };

/** A PM2 of its own, with its own daemon and folder; both are gone when the test ends. */
class Pm2 {
  readonly #home = mkdtempSync(path.join(tmpdir(), 'pm2-'));
  readonly #environment: NodeJS.ProcessEnv;

  constructor(environment: NodeJS.ProcessEnv = {}) {
    this.#environment = {
      PATH: process.env.PATH,
      PM2_HOME: this.#home,
      PORT: '0',
      HOST: '127.0.0.1',
      WORKERS: '2',
      NODE_OPTIONS: `--import=${EXTRA_ROUTES}`,
      ...environment,
    };
    onTestFinished(async () => {
      await this.run(['kill'], process.execPath, { PORT: '0' });
      rmSync(this.#home, { recursive: true, force: true });
    });
  }

  run(args: string[], node = process.execPath, environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    return new Promise((resolve) => {
      const options = { cwd: ROOT, env: { ...this.#environment, ...environment } };
      execFile(node, [PM2, ...args], options, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
      });
    });
  }

  async instances(): Promise<Instance[]> {
    const { output } = await this.run(['jlist']);
    return JSON.parse(output.slice(output.lastIndexOf('\n[') + 1));
  }

  /** What PM2 kept of the service's log. */
  log(): LogLine[] {
    const text = readFileSync(path.join(this.#home, 'logs/mainstay-out.log'), 'utf8').trim();
    return text.split('\n').map((line) => JSON.parse(line));
  }

  get daemonPid(): number {
    return Number(readFileSync(path.join(this.#home, 'pm2.pid'), 'utf8'));
  }

  get url(): string {
    return `http://127.0.0.1:${this.log().find(({ msg }) => msg === 'ready')?.port}`;
  }
}

const statuses = (instances: Instance[]) => instances.map(({ pm2_env }) => pm2_env.status);

describe('under PM2, the service', () => {
  it('starts, keeps its JSON log, and drains when it is stopped', async () => {
    const pm2 = new Pm2();
    expect(await pm2.run(['start', 'ecosystem.config.js'])).toMatchObject({ code: 0 });
    expect(statuses(await pm2.instances())).toEqual(['online', 'online']);

    const client = new RawConnection(pm2.url).send(
      'GET /greet HTTP/1.1\r\nHost: x\r\n\r\nGET /slow?ms=2000 HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    await client.until('Hello World !!!');
    const stopped = pm2.run(['stop', 'mainstay']);
    expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(await stopped).toMatchObject({ code: 0 });
    expect(statuses(await pm2.instances())).toEqual(['stopped', 'stopped']);

    const drained = pm2.log().filter(({ msg }) => msg === 'drained');
    expect(drained).toHaveLength(2);
    expect(drained).toContainEqual(expect.objectContaining({ signal: 'SIGINT', inFlight: 1, finished: 1, cut: 0 }));
    const { output } = await pm2.run(['logs', '--nostream', '--raw', '--lines', '50']);
    expect(output).toContain('"msg":"drained"');
  });

  it('loses no request in three reloads under busy clients', async () => {
    const pm2 = new Pm2({ REQUEST_LOG: 'false' });
    await pm2.run(['start', 'ecosystem.config.js']);
    const before = (await pm2.instances()).map(({ pid }) => pid);
    const keepers = new BusyClients({ url: pm2.url, clients: 16, keepAlive: true });
    const openers = new BusyClients({ url: pm2.url, clients: 16, keepAlive: false });
    for (let reload = 0; reload < 3; reload++) {
      expect(await pm2.run(['reload', 'ecosystem.config.js'])).toMatchObject({ code: 0 });
      await Promise.all([keepers.asked(100), openers.asked(100)]);
    }
    await Promise.all([keepers.stop(), openers.stop()]);
    expect([...keepers.failures, ...openers.failures]).toEqual([]);
    const after = await pm2.instances();
    expect(statuses(after)).toEqual(['online', 'online']);
    expect(after.map(({ pm2_env }) => pm2_env.restart_time)).toEqual([3, 3]);
    expect(after.some(({ pid }) => before.includes(pid))).toBe(false);
  });

  it('is not started with a wrong configuration', async () => {
    const pm2 = new Pm2({ PORT: 'abc' });
    const { code, output } = await pm2.run(['start', 'ecosystem.config.js']);
    expect(code).toBe(1);
    expect(output).toContain('PORT must be a whole number from 0 to 65535, got "abc"');
    expect(await pm2.instances()).toEqual([]);
  });

  it('keeps its instances, and can be reloaded again, after a reload with a wrong configuration', async () => {
    const pm2 = new Pm2({ WORKERS: '1' });
    await pm2.run(['start', 'ecosystem.config.js']);
    const [before] = await pm2.instances();
    expect(await pm2.run(['reload', 'ecosystem.config.js'], process.execPath, { PORT: 'abc' })).toMatchObject({
      code: 1,
    });
    const [after] = await pm2.instances();
    expect(after?.pid).toBe(before?.pid);
    expect(await pm2.run(['reload', 'ecosystem.config.js'])).toMatchObject({ code: 0 });
  });

  it('drains when PM2 itself is killed', async () => {
    const pm2 = new Pm2({ WORKERS: '1' });
    await pm2.run(['start', 'ecosystem.config.js']);
    const client = new RawConnection(pm2.url).send(
      'GET /greet HTTP/1.1\r\nHost: x\r\n\r\nGET /slow?ms=1000 HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    await client.until('Hello World !!!');
    process.kill(pm2.daemonPid, 'SIGKILL');
    expect(await client.closed()).toMatch(/slow, but whole$/);
  });

  it('is neither shown as online nor tried again when an instance finds its configuration wrong', async () => {
    const pm2 = new Pm2({ NODE_OPTIONS: `--import=${BREAK_INSTANCE}` });
    await pm2.run(['start', 'ecosystem.config.js']);
    const dead = { pid: 0, pm2_env: expect.objectContaining({ exit_code: 78, restart_time: 0 }) };
    await expect.poll(() => pm2.instances(), { timeout: 20_000 }).toMatchObject([dead, dead]);
    await sleep(1000); // Four times the first backoff.
    const instances = await pm2.instances();
    expect(instances).toMatchObject([dead, dead]);
    // PM2's words for a process with a backoff that it will not restart.
    expect(statuses(instances)).toEqual(['waiting restart', 'waiting restart']);
  });

  it.skipIf(OLD_NODE === undefined)('says so when Node is too old', async () => {
    const { code, output } = await new Pm2().run(['start', 'ecosystem.config.js'], OLD_NODE, { NODE_OPTIONS: '' });
    expect(output).toContain('Mainstay needs Node.js 24 or newer');
    expect(code).toBe(78);
  });
});

it('grants PM2 the times that the service needs', () => {
  expect(apps).toEqual([
    expect.objectContaining({ exec_mode: 'cluster', wait_ready: true, listen_timeout: 10_500, kill_timeout: 9500 }),
  ]);
});
