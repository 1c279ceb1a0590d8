// What services answer when more is asked than they can do: `npm run bench:overload`. Requests come at random moments, whether
// answers do or not. One process of each; goodput is answers 200 within two seconds. 100 % is what a service that sheds nothing
// answers to a few clients that wait their turn: one that sheds would shed those, too.
import { pbkdf2Sync } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Launched } from './launched.ts';
import { closedLoop, type Outcome, openLoop } from './load.ts';
import { markdownTable, writeSection } from './report.ts';
import { median, percentile } from './statistics.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const ROUND_MS = Number(process.env.ROUND_MS ?? 8000);
const TIMES = (process.env.TIMES ?? '1,2,4,8').split(',').map(Number);

const BURN_MS = 5;
const CAPACITY_MS = 2500;

type Work = { readonly name: string; readonly path: string; readonly isKept: boolean };

const WORKS: readonly Work[] = [
  { name: 'a route that burns 5 ms of CPU', path: '/burn', isKept: true },
  { name: 'the same, each request on a new connection', path: '/burn', isKept: false },
  { name: 'a route that waits for one of 10 permits and holds it for 50 ms', path: '/pool', isKept: true },
];

const ROUTES = `--import=${new URL('peers/overload-routes.js', import.meta.url)}`;

const SHEDS_NOTHING = {
  name: 'Mainstay, `MAX_QUEUE_DELAY_MS=0`: nothing is shed',
  file: 'src/server/main.js',
  environment: { NODE_OPTIONS: ROUTES, MAX_QUEUE_DELAY_MS: '0' },
};

const SERVICES = [
  { name: 'Mainstay', file: 'src/server/main.js', environment: { NODE_OPTIONS: ROUTES } },
  SHEDS_NOTHING,
  { name: 'Fastify, under-pressure', file: 'bench/peers/under-pressure.js', environment: { NODE_OPTIONS: ROUTES } },
  { name: 'Express, toobusy-js', file: 'bench/peers/too-busy.js', environment: {} },
];

/** How many iterations take this machine so long. */
function calibrate(): number {
  const iterations = 2000;
  const times = Array.from({ length: 50 }, () => {
    const startedAt = performance.now();
    pbkdf2Sync('password', 'salt', iterations, 32, 'sha256');
    return performance.now() - startedAt;
  });
  return Math.round((iterations * BURN_MS) / median(times));
}

/** Answers a second to as many clients as keep it busy. */
function capacity(url: string, { path, isKept }: Work, forMs: number): Promise<number> {
  return closedLoop(url + path, path === '/pool' ? 10 : 4, forMs, isKept);
}

type Measured = {
  readonly outcome: Outcome;
  /** How long `/livez`, or a greeting where there is none, took under load. */
  readonly operations: readonly number[];
  /** Answers a second, in the second after the first one after the load. */
  readonly recovered: number;
};

async function measure(service: Launched, work: Work, perSecond: number): Promise<Measured> {
  const operations: number[] = [];
  const operation = (await fetch(`${service.url}/livez`)).ok ? '/livez' : '/hello/John';
  const load = openLoop(service.url + work.path, perSecond, ROUND_MS, work.isKept);
  for (const until = performance.now() + ROUND_MS; performance.now() < until; await sleep(100)) {
    const { served } = await openLoop(service.url + operation, 1000, 1, false);
    operations.push(...(served.length > 0 ? served : [Number.POSITIVE_INFINITY]));
  }
  const outcome = await load;
  await sleep(1000);
  const recovered = await capacity(service.url, work, 1000);
  return { outcome, operations, recovered };
}

const iterations = String(calibrate());

function start({ file, environment }: (typeof SERVICES)[number]): Promise<Launched> {
  return Launched.start([file], { ...environment, BURN_ITERATIONS: iterations });
}

const cells = WORKS.flatMap((work) =>
  SERVICES.flatMap((service) => TIMES.map((times) => ({ work, service, times, measured: [] as Measured[] }))),
);
const capacities = new Map<Work, number[]>(WORKS.map((work) => [work, []]));
/** Answers a second that are 100 %. */
const can = (work: Work) => median(capacities.get(work) ?? []);

for (let round = 0; round < ROUNDS; round++) {
  for (const work of WORKS) {
    const launched = await start(SHEDS_NOTHING);
    capacities.get(work)?.push(await capacity(launched.url, work, CAPACITY_MS));
    await launched.stop();
  }
  for (const { work, service, times, measured } of cells) {
    const launched = await start(service);
    // Warm, and past the time in which a process may still be slow.
    await capacity(launched.url, work, CAPACITY_MS);
    const result = await measure(launched, work, times * can(work));
    await launched.stop();
    measured.push(result);
    const { outcome, recovered } = result;
    console.error(
      `${service.name}, ${work.name}, ${times} times ${can(work).toFixed(0)}/s: ${outcome.goodput.toFixed(0)}/s, p99 ${percentile(outcome.served, 99).toFixed(0)} ms, ${outcome.refused} refused, ${outcome.failed} failed, operations p99 ${percentile(result.operations, 99).toFixed(0)} ms, then ${recovered.toFixed(0)}/s`,
    );
  }
}

const HEAD = [
  'offered',
  'service',
  'goodput',
  'p50 / p99 of these',
  'refused',
  'late or failed',
  'operations p99',
  'a second later',
];
const sections = WORKS.map((work) => {
  const rows = cells
    .filter((cell) => cell.work === work)
    .sort((a, b) => a.times - b.times)
    .map(({ service, times, measured }) => {
      const of = (pick: (round: Measured) => number) => median(measured.map(pick));
      const share = (rate: number) => `${((100 * rate) / can(work)).toFixed(0)} %`;
      const ms = (value: number) => (Number.isFinite(value) ? value.toFixed(0) : '–');
      return [
        `${times} ×`,
        service.name,
        share(of(({ outcome }) => outcome.goodput)),
        `${ms(of(({ outcome }) => percentile(outcome.served, 50)))} / ${ms(of(({ outcome }) => percentile(outcome.served, 99)))} ms`,
        of(({ outcome }) => outcome.refused),
        of(({ outcome }) => outcome.failed),
        `${ms(of(({ operations }) => percentile(operations, 99)))} ms`,
        share(of(({ recovered }) => recovered)),
      ];
    });
  return `**${work.name}**\n\n${markdownTable([HEAD, ...rows])}`;
});
const title = `Node ${process.versions.node}, ${availableParallelism()} cores`;
const how = `${new Date().toISOString().slice(0, 10)}, medians of ${ROUNDS} rounds of ${ROUND_MS / 1000} s. 100 % is what Mainstay answers, shedding nothing, to a few clients that wait their turn.`;
const section = `${how}\n\n${sections.join('\n\n')}`;
console.log(`## ${title}\n\n${section}`);
if (process.env.WRITE === 'true') writeSection('docs/overload.md', title, section);
