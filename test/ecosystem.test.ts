import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ClientsOfEveryKind } from './support/clients.ts';
import { OtlpReceiver } from './support/otlp-receiver.ts';
import { EXTRA_ROUTES, ROOT } from './support/paths.ts';
import { type Instance, Pm2, SERVICE } from './support/pm2.ts';
import { OLD_NODE } from './support/processes.ts';
import { RawConnection } from './support/raw.ts';

const BREAK_INSTANCE = path.join(ROOT, 'test/support/break-instance.js');

/** A PM2 that has the test's own routes, and is gone when the test ends. */
function pm2With(environment: NodeJS.ProcessEnv = {}): Pm2 {
  const pm2 = new Pm2({
    PORT: '0',
    HOST: '127.0.0.1',
    WORKERS: '2',
    NODE_OPTIONS: `--import=${EXTRA_ROUTES}`,
    ...environment,
  });
  onTestFinished(() => pm2.kill());
  return pm2;
}

/** PM2 may know that an instance is ready before it has written what that one logged. */
async function urlOf(pm2: Pm2): Promise<string> {
  const port = () => pm2.log.find(({ msg }) => msg === 'ready')?.port;
  await expect.poll(port).toBeDefined();
  return `http://127.0.0.1:${port()}`;
}
const statuses = (instances: Instance[]) => instances.map(({ pm2_env }) => pm2_env.status);

describe('under PM2, the service', () => {
  it('starts, keeps its JSON log, and drains when it is stopped', async () => {
    const pm2 = pm2With();
    expect(await pm2.run(['start', 'ecosystem.config.js'])).toMatchObject({ code: 0 });
    expect(statuses(await pm2.instances())).toEqual(['online', 'online']);

    const client = new RawConnection(await urlOf(pm2)).send(
      'GET /greet HTTP/1.1\r\nHost: x\r\n\r\nGET /slow?ms=2000 HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    await client.until('Hello World !!!');
    const stopped = pm2.run(['stop', SERVICE]);
    expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(await stopped).toMatchObject({ code: 0 });
    expect(statuses(await pm2.instances())).toEqual(['stopped', 'stopped']);

    const drained = pm2.log.filter(({ msg }) => msg === 'drained');
    expect(drained).toHaveLength(2);
    expect(drained).toContainEqual(expect.objectContaining({ signal: 'SIGINT', inFlight: 1, finished: 1, cut: 0 }));
    const { output } = await pm2.run(['logs', '--nostream', '--raw', '--lines', '50']);
    expect(output).toContain('"msg":"drained"');
  });

  it('loses no request in three reloads under clients of every kind', async () => {
    const pm2 = pm2With({ REQUEST_LOG: 'false' });
    await pm2.run(['start', 'ecosystem.config.js']);
    const before = (await pm2.instances()).map(({ pid }) => pid);
    const clients = new ClientsOfEveryKind({ url: await urlOf(pm2), clients: 8 });
    for (let reload = 0; reload < 3; reload++) {
      expect(await pm2.run(['reload', 'ecosystem.config.js'])).toMatchObject({ code: 0 });
      await clients.asked(5);
    }
    await clients.stop();
    expect(clients.failures).toEqual([]);
    const after = await pm2.instances();
    expect(statuses(after)).toEqual(['online', 'online']);
    expect(after.map(({ pm2_env }) => pm2_env.restart_time)).toEqual([3, 3]);
    expect(after.some(({ pid }) => before.includes(pid))).toBe(false);
  });

  it('has sent the spans of all requests when it is reloaded, and when it is stopped', async () => {
    const receiver = await OtlpReceiver.start();
    const pm2 = pm2With({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    await pm2.run(['start', 'ecosystem.config.js']);
    const url = await urlOf(pm2);
    const ask = () => fetch(`${url}/greet`, { headers: { connection: 'close' } });
    for (let request = 0; request < 10; request++) await ask();
    expect(await pm2.run(['reload', 'ecosystem.config.js'])).toMatchObject({ code: 0 });
    expect(receiver.named('GET /greet')).toHaveLength(10);
    for (let request = 0; request < 10; request++) await ask();
    expect(await pm2.run(['stop', SERVICE])).toMatchObject({ code: 0 });
    expect(receiver.named('GET /greet')).toHaveLength(20);
  });

  it('replaces an instance that has grown above MAX_WORKER_RSS_MB, and the old one drains', async () => {
    const pm2 = pm2With({ WORKERS: '1', MAX_WORKER_RSS_MB: '300', PM2_WORKER_INTERVAL: '1000', DRAIN_IDLE_MS: '100' });
    await pm2.run(['start', 'ecosystem.config.js']);
    const client = new RawConnection(await urlOf(pm2)).send(
      'GET /hold-memory?mb=400 HTTP/1.1\r\nHost: x\r\n\r\nGET /slow?ms=5000 HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    const drained = () => pm2.log.filter(({ msg }) => msg === 'drained');
    await expect.poll(drained, { timeout: 20_000 }).toMatchObject([{ inFlight: 1, finished: 1, cut: 0 }]);
    expect(await client.closed()).toMatch(/slow, but whole$/);
    expect(statuses(await pm2.instances())).toEqual(['online']);
  });

  it('is not started with a wrong configuration', async () => {
    const pm2 = pm2With({ PORT: 'abc' });
    const { code, output } = await pm2.run(['start', 'ecosystem.config.js']);
    expect(code).toBe(1);
    expect(output).toContain('PORT must be a whole number from 0 to 65535, got "abc"');
    expect(await pm2.instances()).toEqual([]);
  });

  it('keeps its instances, and can be reloaded again, after a reload with a wrong configuration', async () => {
    const pm2 = pm2With({ WORKERS: '1' });
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
    const pm2 = pm2With({ WORKERS: '1' });
    await pm2.run(['start', 'ecosystem.config.js']);
    const client = new RawConnection(await urlOf(pm2)).send(
      'GET /greet HTTP/1.1\r\nHost: x\r\n\r\nGET /slow?ms=1000 HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    await client.until('Hello World !!!');
    process.kill(pm2.daemonPid, 'SIGKILL');
    expect(await client.closed()).toMatch(/slow, but whole$/);
  });

  it('is neither shown as online nor tried again when an instance finds its configuration wrong', async () => {
    const pm2 = pm2With({ NODE_OPTIONS: `--import=${BREAK_INSTANCE}` });
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
    const { code, output } = await pm2With().run(['start', 'ecosystem.config.js'], OLD_NODE, { NODE_OPTIONS: '' });
    expect(output).toContain('Mainstay needs Node.js 24 or newer');
    expect(code).toBe(78);
  });
});
