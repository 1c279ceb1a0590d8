// What services answer when more is asked than they can do: `npm run bench:overload`. Requests come at random moments, whether
// answers do or not. One process of each; goodput is answers 200 in time. 100 % is what a service that sheds nothing
// answers to a few clients that wait their turn: one that sheds would shed those, too.
import { setTimeout as sleep } from 'node:timers/promises';
import { Launched } from './launched.ts';
import { closedLoop, type Outcome, openLoop } from './load.ts';
import { markdownTable, mediansOf, publish } from './report.ts';
import { repetitions, wholeNumber, wholeNumbers } from './settings.ts';
import { median, percentile } from './statistics.ts';

const ROUNDS = repetitions('ROUNDS', 3);
const ROUND_MS = wholeNumber('ROUND_MS', 8000, { least: 100 });
const TIMES = wholeNumbers('TIMES', [1, 2, 4, 8]);

const OPERATIONS_PER_SECOND = 10;
const CAPACITY_MS = 2500;

/** More is not possible: it is the capacity that was measured too low. */
const MOST_GOODPUT = 1.05;

type Work = {
  readonly name: string;
  readonly path: string;
  /** So many that each wait for an answer keep it busy all the time. */
  readonly clients: number;
  readonly isKept?: boolean;
  /** Whether the load is the first that the process gets, besides the request that shows that it answers. */
  readonly isJustStarted?: boolean;
  readonly patienceMs?: number;
};

/** A few do, where all that they do is ask. */
const BURN = { path: '/burn', clients: 4 };
/** No permit is ever free. */
const POOL = { path: '/pool', clients: 20 };

const WORKS: readonly Work[] = [
  { ...BURN, name: 'a route that burns 5 ms of CPU' },
  // Some of them are connecting.
  { ...BURN, name: 'the same, each request on a new connection', isKept: false, clients: 16 },
  // In its first second of CPU time a process sheds nothing.
  { ...BURN, name: 'the same on kept connections, by a process that has just started', isJustStarted: true },
  { ...POOL, name: 'a route that waits for one of 10 permits and holds it for 50 ms' },
  { ...POOL, name: 'the same, by clients that give up after 200 ms', patienceMs: 200 },
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
  { name: 'Fastify, under-pressure', file: 'bench/peers/under-pressure.js', environment: {} },
  { name: 'Express, toobusy-js', file: 'bench/peers/too-busy.js', environment: {} },
];

/** Answers a second to as many clients as keep it busy. */
function capacity(url: string, { path, clients, isKept }: Work, forMs: number): Promise<number> {
  return closedLoop(url + path, clients, forMs, isKept);
}

type Measured = {
  readonly outcome: Outcome;
  /** Of `/livez`, which each of the services exempts, asked meanwhile. */
  readonly operations: Outcome;
  /** Answers a second, in the second after the first one after the load. */
  readonly recovered: number;
};

async function measure(service: Launched, work: Work, perSecond: number): Promise<Measured> {
  const [outcome, operations] = await Promise.all([
    openLoop(service.url + work.path, perSecond, ROUND_MS, work),
    openLoop(`${service.url}/livez`, OPERATIONS_PER_SECOND, ROUND_MS, { isKept: false }),
  ]);
  await sleep(1000);
  const recovered = await capacity(service.url, work, 1000);
  return { outcome, operations, recovered };
}

/** Of the answers 200, in milliseconds; for ever where anybody was refused, or got no answer in time. */
function worst({ served, refusedAfter, failed }: Outcome): number {
  return refusedAfter.length + failed > 0 ? Number.POSITIVE_INFINITY : percentile(served, 100);
}

function inWords(worstMs: number): string {
  return Number.isFinite(worstMs) ? `${worstMs.toFixed(0)} ms` : '–';
}

function start({ file, environment }: (typeof SERVICES)[number]): Promise<Launched> {
  return Launched.start([file], environment);
}

const cells = WORKS.flatMap((work) =>
  SERVICES.flatMap((service) => TIMES.map((times) => ({ work, service, times, measured: [] as Measured[] }))),
);
const capacities = new Map<Work, number[]>(WORKS.map((work) => [work, []]));
/** Answers a second that are 100 %. */
const can = (work: Work) => median(capacities.get(work) ?? []);

for (let round = 0; round < ROUNDS; round++) {
  for (const work of WORKS) {
    await using launched = await start(SHEDS_NOTHING);
    // Warm, and past the time in which a process may still be slow.
    await capacity(launched.url, work, CAPACITY_MS);
    capacities.get(work)?.push(await capacity(launched.url, work, CAPACITY_MS));
  }
  for (const { work, service, times, measured } of cells) {
    await using launched = await start(service);
    if (!work.isJustStarted) await capacity(launched.url, work, CAPACITY_MS);
    const result = await measure(launched, work, times * can(work));
    measured.push(result);
    const { outcome, recovered } = result;
    console.error(
      `${service.name}, ${work.name}, ${times} times ${can(work).toFixed(0)}/s: ${outcome.goodput.toFixed(0)}/s, p99 ${percentile(outcome.served, 99).toFixed(0)} ms, ${outcome.refusedAfter.length} refused, ${outcome.failed} failed, operations at worst ${inWords(worst(result.operations))}, clients lag ${outcome.lagMs.toFixed(0)} ms, then ${recovered.toFixed(0)}/s`,
    );
  }
}

const HEAD = [
  'offered',
  'service',
  'goodput',
  'p50 / p99 of these',
  'refused',
  'p50 / p99 of these refusals',
  'late or failed',
  'operations, worst',
  'a second later',
  'the clients lag, worst',
];
const sections = WORKS.map((work) => {
  const rows = cells
    .filter((cell) => cell.work === work)
    .sort((a, b) => a.times - b.times)
    .map(({ service, times, measured }) => {
      const of = (pick: (round: Measured) => number) => median(measured.map(pick));
      const percent = (part: number, digits = 0) => `${(100 * part).toFixed(digits)} %`;
      const ofCapacity = (rate: number) => percent(rate / can(work));
      const ofAsked = (pick: (outcome: Outcome) => number) =>
        percent(
          of(({ outcome }) => pick(outcome) / (outcome.served.length + outcome.refusedAfter.length + outcome.failed)),
          1,
        );
      const ms = (value: number) => value.toFixed(0);
      const took = (pick: (outcome: Outcome) => readonly number[]) => {
        const rounds = measured.map(({ outcome }) => pick(outcome)).filter((round) => round.length > 0);
        if (rounds.length === 0) return '–';
        const [p50, p99] = [50, 99].map((percent) => median(rounds.map((round) => percentile(round, percent))));
        return `${ms(p50 ?? Number.NaN)} / ${ms(p99 ?? Number.NaN)} ms`;
      };
      return [
        `${times} ×`,
        service.name,
        ofCapacity(of(({ outcome }) => outcome.goodput)),
        took(({ served }) => served),
        ofAsked(({ refusedAfter }) => refusedAfter.length),
        took(({ refusedAfter }) => refusedAfter),
        ofAsked(({ failed }) => failed),
        inWords(of(({ operations }) => worst(operations))),
        ofCapacity(of(({ recovered }) => recovered)),
        `${ms(of(({ outcome }) => outcome.lagMs))} ms`,
      ];
    });
  return `**${work.name}**; 100 % are ${can(work).toFixed(0)} a second\n\n${markdownTable([HEAD, ...rows])}`;
});
const how = `${mediansOf(ROUNDS, ROUND_MS)}. 100 % of goodput is what Mainstay answers, shedding nothing, to a few clients that wait their turn; refused, late and failed are parts of what was asked.`;
publish('docs/overload.md', how, sections.join('\n\n'));

const hasTooMuch = cells.some(
  ({ work, measured }) => median(measured.map(({ outcome }) => outcome.goodput)) > MOST_GOODPUT * can(work),
);
if (hasTooMuch) {
  console.error('A goodput is above 105 %: the machine was busy while its capacity was measured. Measure again.');
}
