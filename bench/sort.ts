// What four clients that sort without pause do to others, who only say hello: `npm run bench:sort`.
import { Agent, get } from 'node:http';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Launched } from './launched.ts';
import { markdownTable, writeSection } from './report.ts';
import { median, percentile } from './statistics.ts';

const ROUNDS = 5;
const ROUND_MS = 4000;
const SORTING_CLIENTS = 4;
const HELLO_EVERY_MS = 5;

const SITUATIONS = {
  'nobody sorts': undefined,
  'four sort, in threads (`/sort`)': '/sort?count=1000000',
  'four sort, on the event loop': '/sort-here?count=1000000',
};

type Measured = { readonly p50: number; readonly p99: number; readonly sorts: number };

/** @returns milliseconds */
function ask(url: string, agent: Agent): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(performance.now() - startedAt));
    }).on('error', reject);
  });
}

async function measure(url: string, path: string | undefined): Promise<Measured> {
  let isOver = false;
  let sorts = 0;
  const sorting = Array.from({ length: path === undefined ? 0 : SORTING_CLIENTS }, async () => {
    const agent = new Agent({ keepAlive: true });
    while (!isOver) {
      await ask(url + path, agent);
      sorts++;
    }
    agent.destroy();
  });
  const latencies: number[] = [];
  for (const until = performance.now() + ROUND_MS; performance.now() < until; await sleep(HELLO_EVERY_MS)) {
    // A new connection each time, so that every worker is asked.
    latencies.push(await ask(`${url}/hello`, new Agent()));
  }
  isOver = true;
  await Promise.all(sorting);
  return { p50: percentile(latencies, 50), p99: percentile(latencies, 99), sorts: (1000 * sorts) / ROUND_MS };
}

const service = await Launched.start(['src/cluster/main.js'], {
  NODE_OPTIONS: `--import=${new URL('peers/sort-on-main.js', import.meta.url)}`,
});
const results = new Map<string, Measured[]>(Object.keys(SITUATIONS).map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, path] of Object.entries(SITUATIONS)) results.get(name)?.push(await measure(service.url, path));
}
await service.stop();
const head = ['', '`GET /hello` p50 ms', 'p99 ms', 'p99 against nobody', 'sorts a second'];
const idle = median((results.get('nobody sorts') ?? []).map(({ p99 }) => p99));
const rows = [...results].map(([name, rounds]) => {
  const p99 = median(rounds.map((round) => round.p99));
  const [p50, sorts] = [median(rounds.map((round) => round.p50)), median(rounds.map((round) => round.sorts))];
  return [name, p50.toFixed(2), p99.toFixed(2), `× ${(p99 / idle).toFixed(1)}`, sorts.toFixed(1)];
});
const title = `Node ${process.versions.node}, ${availableParallelism()} cores`;
const section = `${new Date().toISOString().slice(0, 10)}, medians of ${ROUNDS} rounds.\n\n${markdownTable([head, ...rows])}`;
console.log(`## ${title}\n\n${section}`);
if (process.env.WRITE === 'true') writeSection('docs/cpu-work.md', title, section);
