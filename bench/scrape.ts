// What a scrape of /metrics costs four workers together while clients keep them busy: the CPU time that they used beyond that of the
// requests they answered. Rounds with and without scrapes take turns, for the machine is not always equally fast. Linux only.
import { setTimeout as sleep } from 'node:timers/promises';
import { BusyClients } from '../test/support/clients.ts';
import { Launched } from './launched.ts';
import { cpuMs, processTree } from './process-tree.ts';
import { median } from './statistics.ts';

const WORKERS = 4;
const CLIENTS = 64;
const ROUNDS = 10;
const ROUND_MS = 2000;
const SCRAPE_EVERY_MS = 50;

const service = await Launched.start(['src/cluster/main.js'], { WORKERS: String(WORKERS) });
const scrape = async () => (await fetch(`${service.url}/metrics`, { headers: { connection: 'close' } })).text();

// Each worker has series of several routes and statuses, as in life.
for (const path of [
  '/hello',
  '/random?number=6',
  '/random?number=x',
  '/sort?count=10',
  '/events',
  '/no-such',
  '/readyz',
])
  for (let time = 0; time < 4 * WORKERS; time++)
    await (await fetch(service.url + path, { headers: { connection: 'close' } })).text();

const clients = new BusyClients({ url: service.url, kind: 'keep-alive', clients: CLIENTS, path: '/hello' });
await clients.asked(20_000);
const costs: number[] = [];
const perRequest: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const without = await measure(async () => {
    await sleep(ROUND_MS);
    return 0;
  });
  const withScrapes = await measure(async () => {
    let scrapes = 0;
    for (const until = performance.now() + ROUND_MS; performance.now() < until; scrapes++) {
      await scrape();
      await sleep(SCRAPE_EVERY_MS);
    }
    return scrapes;
  });
  const msPerRequest = without.cpu / without.answered;
  perRequest.push(msPerRequest);
  costs.push((withScrapes.cpu - withScrapes.answered * msPerRequest) / withScrapes.scrapes);
}
await clients.stop();
const text = await scrape();
await service.stop();

const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
console.log(`${WORKERS} workers under full load, ${series} series, ${Math.round(text.length / 1000)} kB:`);
console.log(`a scrape costs all of them together ${median(costs).toFixed(1)} ms of CPU`);
console.log(
  `(rounds: ${costs.map((ms) => ms.toFixed(1)).join(', ')}; a request ${(1000 * median(perRequest)).toFixed(0)} µs)`,
);

async function measure(work: () => Promise<number>): Promise<{ cpu: number; answered: number; scrapes: number }> {
  const answeredBefore = clients.answered;
  const cpuBefore = cpuMs(processTree(service.pid));
  const scrapes = await work();
  return { cpu: cpuMs(processTree(service.pid)) - cpuBefore, answered: clients.answered - answeredBefore, scrapes };
}
