// What four clients that sort without pause do to another one, who only says hello: `npm run bench:sort`, a minute. That one asks anew
// 5 ms after each answer, so that it asks more seldom where it has to wait, and what it sees of a blocked loop is the least.
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Launched } from './launched.ts';
import { markdownTable, mediansOf, publish } from './report.ts';
import { median, percentile } from './statistics.ts';

const ROUNDS = 5;
const ROUND_MS = 4000;
const SORTING_CLIENTS = 4;
const HELLO_PAUSE_MS = 5;

const SITUATIONS = {
  'nobody sorts': undefined,
  'four sort, in threads (`/sort`)': '/sort?count=1000000',
  'four sort, on the event loop': '/sort-here?count=1000000',
};

type Measured = { readonly p50: number; readonly p99: number; readonly sorts: number };

/** @returns how many milliseconds an answer 200 took */
function ask(url: string, agent: Agent): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url} answered ${response.statusCode}`));
      response.resume();
      response.on('end', () => resolve(performance.now() - startedAt));
    }).on('error', reject);
  });
}

async function measure(url: string, path: string | undefined): Promise<Measured> {
  const until = performance.now() + ROUND_MS;
  let sorts = 0;
  const sort = async () => {
    const agent = new Agent({ keepAlive: true });
    while (performance.now() < until) {
      await ask(url + path, agent);
      if (performance.now() < until) sorts++;
    }
    agent.destroy();
  };
  const latencies: number[] = [];
  const greet = async () => {
    for (; performance.now() < until; await sleep(HELLO_PAUSE_MS)) {
      // A new connection each time, so that every worker is asked.
      latencies.push(await ask(`${url}/hello`, new Agent()));
    }
  };
  await Promise.all([greet(), ...Array.from({ length: path === undefined ? 0 : SORTING_CLIENTS }, sort)]);
  return { p50: percentile(latencies, 50), p99: percentile(latencies, 99), sorts: (1000 * sorts) / ROUND_MS };
}

await using service = await Launched.start(['src/cluster/main.js'], {
  NODE_OPTIONS: `--import=${new URL('peers/sort-on-main.js', import.meta.url)}`,
});
const results = new Map<string, Measured[]>(Object.keys(SITUATIONS).map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, path] of Object.entries(SITUATIONS)) results.get(name)?.push(await measure(service.url, path));
}
const head = ['', '`GET /hello` p50 ms', 'p99 ms', 'p99 against nobody', 'sorts a second'];
const idle = median((results.get('nobody sorts') ?? []).map(({ p99 }) => p99));
const rows = [...results].map(([name, rounds]) => {
  const p99 = median(rounds.map((round) => round.p99));
  const [p50, sorts] = [median(rounds.map((round) => round.p50)), median(rounds.map((round) => round.sorts))];
  return [name, p50.toFixed(2), p99.toFixed(2), `× ${(p99 / idle).toFixed(1)}`, sorts.toFixed(1)];
});
publish('docs/cpu-work.md', `${mediansOf(ROUNDS, ROUND_MS)}.`, markdownTable([head, ...rows]));
