// What a scrape of /metrics costs four workers together while clients keep them busy: `npm run bench:scrape`, a minute. It is the CPU
// time that they used beyond that of the requests they answered. Rounds with and without scrapes take turns, for the machine is not
// always equally fast. Linux only.
import { setTimeout as sleep } from 'node:timers/promises';
import { BusyClients } from '../test/support/clients.ts';
import { Launched } from './launched.ts';
import { preciseCpuMs, processTree } from './process-tree.ts';
import { median } from './statistics.ts';

const WORKERS = 4;
const CLIENTS = 64;
const ROUNDS = 10;
const ROUND_MS = 2000;
const SCRAPE_EVERY_MS = 50;

await using service = await Launched.start(['src/cluster/main.js'], { WORKERS: String(WORKERS) });
const ask = (path: string) => fetch(service.url + path, { headers: { connection: 'close' } });

async function scrape(): Promise<string> {
  const text = await (await ask('/metrics')).text();
  // One that did not answer its siblings in time would make the scrape cheap.
  const isWhole = /^service_workers_missing\{worker="all"\} 0$/m.test(text);
  if (!isWhole) throw new Error(`not all ${WORKERS} workers are in it: ${text}`);
  return text;
}

// Each worker has series of several routes and statuses, as in life.
for (const path of [
  '/hello',
  '/random?number=6',
  '/random?number=x',
  '/sort?count=10',
  '/events',
  '/no-such',
  '/readyz',
]) {
  for (let time = 0; time < 4 * WORKERS; time++) await (await ask(path)).text();
}
// The first one loads what the later ones only read, and watches more from then on.
await scrape();

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

const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
console.log(`${WORKERS} workers under full load, ${series} series, ${Math.round(text.length / 1000)} kB:`);
console.log(`a scrape costs all of them together ${median(costs).toFixed(1)} ms of CPU`);
console.log(
  `(rounds: ${costs.map((ms) => ms.toFixed(1)).join(', ')}; a request ${(1000 * median(perRequest)).toFixed(0)} µs)`,
);

async function measure(work: () => Promise<number>): Promise<{ cpu: number; answered: number; scrapes: number }> {
  const answeredBefore = clients.answered;
  const cpuBefore = preciseCpuMs(processTree(service.pid));
  const scrapes = await work();
  return {
    cpu: preciseCpuMs(processTree(service.pid)) - cpuBefore,
    answered: clients.answered - answeredBefore,
    scrapes,
  };
}
