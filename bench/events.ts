// How many events a second become durable, and what each costs: `npm run bench:events`. Each client sends its next request
// when the one before was acknowledged. CPU is that of the service's processes alone: other work on the machine changes the
// rate, but hardly the price.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import { Launched } from './launched.ts';
import { cpuMs, processTree } from './process-tree.ts';
import { markdownTable, writeSection } from './report.ts';
import { median } from './statistics.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const ROUND_MS = Number(process.env.ROUND_MS ?? 5000);
const WORKERS = process.env.WORKERS ?? 'auto';
const LOOP_DELAY = fileURLToPath(new URL('loop-delay.js', import.meta.url));

type Case = { readonly name: string; readonly batch: number; readonly clients: number; readonly hasIds: boolean };

const CASES: readonly Case[] = [
  { name: 'batches of 100', batch: 100, clients: 32, hasIds: false },
  { name: 'batches of 100, each event with a random id', batch: 100, clients: 32, hasIds: true },
  { name: 'one by one', batch: 1, clients: 256, hasIds: false },
];

type Round = { rate: number; cpuUs: number; loopP99Ms: number; latencyP50Ms: number; latencyP99Ms: number };

function line(index: number, hasIds: boolean): string {
  const id = hasIds ? `"id":"${randomUUID()}",` : '';
  return `{${id}"type":"type-${index % 5}","value":${index % 1000},"data":{"player":"player-${index % 997}"}}`;
}

async function round(url: string, pid: number, { batch, clients, hasIds }: Case): Promise<Round> {
  const body = () => Array.from({ length: batch }, (_, index) => line(index, hasIds)).join('\n');
  // Made in advance where they may repeat: what the clients do costs the service its cores.
  const prepared = hasIds ? undefined : body();
  const pool = new Pool(url, { connections: clients });
  await loopDelay(url);
  const latencies: number[] = [];
  const tree = processTree(pid);
  const cpuBefore = cpuMs(tree);
  const startedAt = performance.now();
  const client = async () => {
    while (performance.now() - startedAt < ROUND_MS) {
      const askedAt = performance.now();
      const { statusCode, body: answer } = await pool.request({
        path: '/events',
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: prepared ?? body(),
      });
      const text = await answer.text();
      if (statusCode !== 201) throw new Error(`${statusCode}: ${text}`);
      latencies.push(performance.now() - askedAt);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = cpuMs(tree) - cpuBefore;
  const loopP99Ms = await loopDelay(url);
  await pool.close();
  const events = latencies.length * batch;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return {
    rate: events / seconds,
    cpuUs: (cpu * 1000) / events,
    loopP99Ms,
    latencyP50Ms: at(0.5),
    latencyP99Ms: at(0.99),
  };
}

/** The worst of the workers that are found by asking some times. */
async function loopDelay(url: string): Promise<number> {
  const delays = new Map<number, number>();
  for (let asked = 0; asked < 20; asked++) {
    const response = await fetch(`${url}/loop-delay`, { headers: { connection: 'close' } });
    const { pid, p99Ms } = (await response.json()) as { pid: number; p99Ms: number };
    // Of one that is asked again the first answer counts: it has been reset since.
    if (!delays.has(pid)) delays.set(pid, p99Ms);
  }
  return Math.max(...delays.values());
}

const folder = mkdtempSync(path.join(process.env.BENCH_FOLDER ?? tmpdir(), 'events-'));
const results = new Map<Case, Round[]>(CASES.map((each) => [each, []]));
try {
  for (let index = 0; index < ROUNDS; index++) {
    for (const [each, rounds] of results) {
      const service = await Launched.start(['src/cluster/main.js'], {
        WORKERS,
        NODE_OPTIONS: `--import=${LOOP_DELAY}`,
        DATABASE_URL: `file:${folder}/${index}-${CASES.indexOf(each)}.db`,
      });
      try {
        const measured = await round(service.url, service.pid, each);
        console.log(each.name, measured);
        rounds.push(measured);
      } finally {
        await service.stop();
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

const rows = [...results].map(([{ name, clients }, rounds]) => {
  const of = (pick: (round: Round) => number, digits = 0) =>
    median(rounds.map(pick)).toLocaleString('en', { maximumFractionDigits: digits });
  return [
    name,
    clients,
    of(({ rate }) => rate),
    of(({ cpuUs }) => cpuUs, 1),
    `${of(({ latencyP50Ms }) => latencyP50Ms)} / ${of(({ latencyP99Ms }) => latencyP99Ms)} ms`,
    `${of(({ loopP99Ms }) => loopP99Ms, 1)} ms`,
  ];
});
const table = markdownTable([
  ['', 'clients', 'durable events a second', 'CPU an event, µs', 'answer after, p50 / p99', 'event-loop delay, p99'],
  ...rows,
]);
console.log(table);
if (process.env.WRITE === 'true') {
  const where = `${availableParallelism()} cores, Node ${process.versions.node}, medians of ${ROUNDS} rounds of ${ROUND_MS / 1000} s`;
  writeSection('docs/events.md', 'Measured', `${where}:\n\n${table}`);
}
