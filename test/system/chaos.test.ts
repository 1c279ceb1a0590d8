import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BusyClients, ClientsOfEveryKind, type Kind } from '../support/clients.ts';
import { Cluster, isRunning } from '../support/cluster.ts';
import { freePort } from '../support/free-port.ts';
import { Nginx } from '../support/nginx.ts';

const KILLING_MS = 60_000;
const KILL_EVERY_MS = 500;
const CLIENTS = 16;

/** After this a client hangs. Nothing here takes a second. */
const TIMEOUT_MS = 5000;

/** Kills a worker of one of these services, twice a second for a minute. @returns how many */
async function killWorkers(services: readonly Cluster[]): Promise<number> {
  let kills = 0;
  for (const until = performance.now() + KILLING_MS; performance.now() < until; ) {
    await sleep(KILL_EVERY_MS);
    const serving = services.flatMap(({ workers }) => workers.filter(isRunning));
    const victim = serving[Math.floor(Math.random() * serving.length)];
    if (victim === undefined) continue;
    process.kill(victim, 'SIGKILL');
    kills++;
  }
  return kills;
}

/** Until as many workers serve as the service wants. */
async function isAtFullStrength(service: Cluster, workers: number): Promise<void> {
  await service.until(() => service.workers.filter(isRunning).length === workers);
}

describe('while a random worker is killed every 500 ms for a minute', () => {
  it('no client hangs or is refused, only what the killed were answering is lost, and soon all are there again', async () => {
    const service = new Cluster({ WORKERS: '4', REQUEST_LOG: 'false' });
    const url = await service.started(4);
    const kinds: Kind[] = ['keep-alive', 'new connection each', 'undici pool'];
    const all = kinds.map((kind) => new BusyClients({ url, kind, clients: CLIENTS, timeoutMs: TIMEOUT_MS }));
    const kills = await killWorkers([service]);
    const lastKillAt = performance.now();
    await isAtFullStrength(service, 4);
    const fullAfterMs = performance.now() - lastKillAt;
    await Promise.all(all.map((clients) => clients.asked(100)));
    await Promise.all(all.map((clients) => clients.stop()));

    const failures = all.flatMap((clients) => clients.failures);
    const answered = all.reduce((sum, clients) => sum + clients.answered, 0);
    console.log({ kills, answered, lost: failures.length, fullAfterMs: Math.round(fullAfterMs) });
    expect(fullAfterMs).toBeLessThan(4000); // Two seconds, and as much for slow cores.
    expect(failures.filter((failure) => !/^(reset|truncated)/.test(failure))).toEqual([]);
    expect(failures.length).toBeLessThanOrEqual(kills * CLIENTS * kinds.length);
    expect(kills).toBeGreaterThan(80);
  });

  it('nothing that may be asked again is lost behind nginx', async () => {
    const ports = [await freePort(), await freePort()] as const;
    const services = ports.map(
      (port) => new Cluster({ PORT: String(port), REQUEST_LOG: 'false', TRUST_PROXY: 'loopback' }),
    );
    for (const service of services) await service.started(2);
    const nginx = await Nginx.inFrontOf(ports);
    onTestFinished(() => nginx.stop());
    const kinds: Kind[] = ['keep-alive', 'new connection each', 'thinking'];
    const all = kinds.map((kind) => new BusyClients({ url: nginx.url, kind, clients: CLIENTS, timeoutMs: TIMEOUT_MS }));
    const kills = await killWorkers(services);
    await Promise.all(all.map((clients) => clients.asked(10)));
    await Promise.all(all.map((clients) => clients.stop()));
    const answered = all.reduce((sum, clients) => sum + clients.answered, 0);
    console.log({ kills, answered, retried: nginx.errors.split('\n').length });
    expect(all.flatMap((clients) => clients.failures)).toEqual([]);
  });
});

describe('behind nginx', () => {
  it('a batch of events may be as large as the service takes it, and a request keeps the id that its client gave it', async () => {
    const ports = [await freePort(), await freePort()] as const;
    const service = new Cluster({ PORT: String(ports[0]), TRUST_PROXY: 'loopback' });
    await service.started(2);
    const nginx = await Nginx.inFrontOf(ports);
    onTestFinished(() => nginx.stop());
    const line = `${JSON.stringify({ type: 'score', data: 'x'.repeat(10_000) })}\n`;
    const post = (lines: number) =>
      fetch(`${nginx.url}/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson', 'x-request-id': 'of-the-client' },
        body: line.repeat(lines),
      });
    const stored = await post(1500);
    expect(await stored.json()).toEqual({ accepted: 1500 });
    expect(stored.headers.get('x-request-id')).toBe('of-the-client');
    expect((await post(2000)).status).toBe(413);
    expect((await fetch(`${nginx.url}/hello`)).headers.get('x-request-id')).toMatch(/^[\da-f]{32}$/);
  });

  it('two instances restarted in turn lose nothing', async () => {
    const ports = [await freePort(), await freePort()] as const;
    const start = async (port: number) => {
      const service = new Cluster({ PORT: String(port), REQUEST_LOG: 'false', TRUST_PROXY: 'loopback' });
      await service.started(2);
      return service;
    };
    const instances = new Map<number, Cluster>();
    for (const port of ports) instances.set(port, await start(port));
    const nginx = await Nginx.inFrontOf(ports);
    onTestFinished(() => nginx.stop());
    const clients = new ClientsOfEveryKind({ url: nginx.url, clients: 8 });
    for (let restart = 0; restart < 3; restart++) {
      for (const [port, instance] of instances) {
        instance.child.kill('SIGTERM');
        expect(await instance.ended()).toBe(0);
        instances.set(port, await start(port));
        await clients.asked(5);
      }
    }
    await clients.stop();
    expect(clients.failures).toEqual([]);
  });
});
