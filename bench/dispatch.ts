// Compares the ways in which connections can reach the workers: `npm run bench:dispatch`. Prints a Markdown table.
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { BusyClients, type Kind } from '../test/support/clients.ts';
import { Launched } from './launched.ts';
import { cpuMs, processTree } from './process-tree.ts';
import { markdownTable } from './report.ts';
import { median } from './statistics.ts';

const MODES = ['shared', 'round-robin', 'reuse-port'] as const;
type Mode = (typeof MODES)[number];

const ROUNDS = 5;
const WORKERS = 4;
const CONNECTIONS = 4000;
const LONG_CONNECTIONS = 64;
const KILLING_MS = 8000;

/** The service, once each of its workers has answered. */
async function start(mode: Mode, workers = WORKERS): Promise<Launched> {
  const service = await Launched.start(['src/cluster/main.js'], { DISPATCH: mode, WORKERS: String(workers) });
  const seen = new Set<unknown>();
  while (seen.size < workers) {
    const response = await fetch(`${service.url}/health`, { headers: { connection: 'close' } });
    seen.add(((await response.json()) as { worker: string }).worker);
  }
  return service;
}

/** CPU microseconds of the whole service for a request, which comes on a connection of its own or not. */
async function cpuPerRequest(mode: Mode, kind: Kind): Promise<number> {
  const service = await start(mode);
  const clients = new BusyClients({ url: service.url, path: '/hello', clients: 16, kind });
  await clients.asked(1000);
  const tree = processTree(service.pid);
  const before = cpuMs(tree);
  const answeredBefore = clients.answered;
  await clients.asked(CONNECTIONS);
  const us = ((cpuMs(tree) - before) * 1000) / (clients.answered - answeredBefore);
  await clients.stop();
  await service.stop();
  return us;
}

/** The least and the most CPU that any worker used, in percent of an equal share: who worked how much. */
async function balance(mode: Mode, kind: Kind): Promise<[least: number, most: number]> {
  const service = await start(mode);
  const clients = new BusyClients({
    url: service.url,
    path: '/hello',
    clients: kind === 'keep-alive' ? LONG_CONNECTIONS : 16,
    kind,
  });
  await clients.asked(500);
  const [, ...workers] = processTree(service.pid);
  const before = workers.map((pid) => cpuMs([pid]));
  await clients.asked(20_000);
  const used = workers.map((pid, index) => cpuMs([pid]) - (before[index] ?? 0));
  const share = used.reduce((sum, ms) => sum + ms, 0) / used.length;
  await clients.stop();
  await service.stop();
  return [Math.round((100 * Math.min(...used)) / share), Math.round((100 * Math.max(...used)) / share)];
}

/** Clients that connect anew for each request. */
function connecting({ url }: Launched, clients: number, timeoutMs = 10_000): BusyClients {
  return new BusyClients({ url, path: '/hello', clients, kind: 'new connection each', timeoutMs });
}

/** Requests asked and lost in reloads under 500 clients that connect anew for each. */
async function lostInReloads(mode: Mode, reloads: number): Promise<[asked: number, lost: number]> {
  const service = await start(mode, 2);
  const clients = connecting(service, 500);
  for (let reload = 0; reload < reloads; reload++) {
    service.signal('SIGHUP');
    await sleep(5000);
  }
  await clients.stop();
  await service.stop();
  return [clients.answered + clients.failures.length, clients.failures.length];
}

/** Clients that hung, and requests that were reset, while a worker was killed twice a second. */
async function hangsInKills(mode: Mode): Promise<[hung: number, reset: number]> {
  const service = await start(mode);
  const clients = connecting(service, 32, 3000);
  for (const until = performance.now() + KILLING_MS; performance.now() < until; await sleep(500)) {
    const [, ...workers] = processTree(service.pid);
    const victim = workers[Math.floor(Math.random() * workers.length)];
    if (victim !== undefined) process.kill(victim, 'SIGKILL');
  }
  await sleep(4000);
  await clients.stop();
  await service.stop();
  return [clients.lost['timed out'], clients.lost.reset];
}

/** Of 32 clients that connect anew for each request, how many requests waited for a second, while one worker stood still for two. */
async function waitedForStandstill(mode: Mode): Promise<number> {
  const service = await start(mode);
  const clients = connecting(service, 32, 1000);
  await clients.asked(500);
  const [, victim = 0] = processTree(service.pid);
  process.kill(victim, 'SIGSTOP');
  await sleep(2000);
  process.kill(victim, 'SIGCONT');
  await clients.stop();
  await service.stop();
  return clients.lost['timed out'];
}

const measured = Object.fromEntries(MODES.map((mode) => [mode, [] as number[]])) as Record<Mode, number[]>;
for (let round = 0; round < ROUNDS; round++) {
  for (const mode of MODES) {
    measured[mode].push((await cpuPerRequest(mode, 'new connection each')) - (await cpuPerRequest(mode, 'keep-alive')));
  }
}
const rows: (string | number)[][] = [
  [
    'DISPATCH',
    'CPU µs for a new connection, beyond its request (least–most)',
    `${LONG_CONNECTIONS} long connections: least–most worker`,
    'short connections: least–most worker',
    '3 reloads, 500 clients: lost of asked',
    'kill -9 twice a second: hung, reset',
    'a worker stands still for 2 s, 32 clients: waited over 1 s',
  ],
];
for (const mode of MODES) {
  const cpu = measured[mode];
  const long = await balance(mode, 'keep-alive');
  const short = await balance(mode, 'new connection each');
  const [asked, lost] = await lostInReloads(mode, 3);
  const [hung, reset] = await hangsInKills(mode);
  const waited = await waitedForStandstill(mode);
  rows.push([
    `\`${mode}\``,
    `${Math.round(median(cpu))} (${Math.round(Math.min(...cpu))}–${Math.round(Math.max(...cpu))})`,
    `${long[0]}–${long[1]} %`,
    `${short[0]}–${short[1]} %`,
    `${lost} of ${asked}`,
    `${hung}, ${reset}`,
    waited,
  ]);
}
console.log(`Node ${process.versions.node}, ${availableParallelism()} cores, ${WORKERS} workers\n`);
console.log(markdownTable(rows));
