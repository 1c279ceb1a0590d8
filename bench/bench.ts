// Mainstay beside others whose answers have the same body: `npm run bench`. In rounds, each service for a moment in each, so that
// whatever else the machine does meets all of them; then medians, and ratios of the same round.
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import path from 'node:path';
import { ROOT } from '../test/support/paths.ts';
import { barChart } from './chart.ts';
import { greet, type Round } from './greet.ts';
import { BARE, CONTENDERS, type Contender, type Greeter, LAUNCHERS, scrape } from './hello.ts';
import { markdownTable, mediansOf, publish } from './report.ts';
import { oneOf, WRITES_PAGE } from './settings.ts';
import { median, nameOfSpread, spread } from './statistics.ts';

const FORMS = { short: { rounds: 5, ms: 1500 }, long: { rounds: 40, ms: 3000 } };
const { rounds: ROUNDS, ms: ROUND_MS } = FORMS[oneOf('FORM', 'short', ['short', 'long'])];
const WARMING_MS = 2500;

type Result = Contender & { readonly greeter: Greeter; readonly rounds: Round[] };

const results: Result[] = [];
try {
  for (const contender of CONTENDERS) {
    console.error(`starting ${contender.service}, ${contender.launcher}`);
    const greeter = await contender.start();
    results.push({ ...contender, greeter, rounds: [] });
    await greet(greeter, WARMING_MS);
    await scrape(greeter);
  }
  for (let round = 1; round <= ROUNDS; round++) {
    console.error(`round ${round} of ${ROUNDS}`);
    for (const { greeter, rounds } of results) rounds.push(await greet(greeter, ROUND_MS));
  }
} finally {
  for (const { greeter } of results) await greeter.stop();
}

/** Of each round, as a part of what node:http did in it under the same launcher, or under node:cluster where there is no such. */
function ratios({ launcher, rounds }: Result): number[] {
  const sameKind = results.find((other) => other.service === BARE && other.launcher === launcher);
  const bare = sameKind ?? results.find((other) => other.service === BARE && other.launcher === LAUNCHERS[1]);
  return rounds.map(({ perSecond }, index) => perSecond / (bare?.rounds[index]?.perSecond ?? Number.NaN));
}

const of = ({ rounds }: Result, pick: (round: Round) => number) => median(rounds.map(pick));
const HEAD = ['', 'requests a second', 'of node:http', 'CPU a request, µs', 'p50 ms', 'p99 ms', 'memory, MB'];
const sections = LAUNCHERS.map((launcher) => {
  const rows = results
    .filter((result) => result.launcher === launcher)
    .sort((a, b) => of(b, ({ perSecond }) => perSecond) - of(a, ({ perSecond }) => perSecond))
    .map((result) => {
      const ratio = ratios(result);
      const [low, high] = spread(ratio);
      const name = result.isOurs ? `**${result.service}**` : result.service;
      return [
        name,
        Math.round(of(result, ({ perSecond }) => perSecond)).toLocaleString('en'),
        `${median(ratio).toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`,
        of(result, ({ cpuUs }) => cpuUs).toFixed(1),
        of(result, ({ p50Ms }) => p50Ms).toFixed(2),
        of(result, ({ p99Ms }) => p99Ms).toFixed(2),
        Math.round(of(result, ({ rssMb }) => rssMb)),
      ];
    });
  return `### ${launcher[0]?.toUpperCase()}${launcher.slice(1)}\n\n${markdownTable([HEAD, ...rows])}`;
});

const machine = `Node ${process.versions.node}, ${availableParallelism()} cores`;
const chart = `docs/charts/benchmarks-node-${process.versions.node.split('.')[0]}.svg`;
const drawn = await barChart(
  `GET /hello/John, one process: requests a second, ${machine}`,
  results
    .filter(({ launcher }) => launcher === LAUNCHERS[0])
    .map((result) => ({
      name: result.service,
      value: of(result, ({ perSecond }) => perSecond),
      isOurs: result.isOurs,
    })),
);
if (WRITES_PAGE) writeFileSync(path.join(ROOT, chart), drawn);

const [kernel] = /^\d+\.\d+/.exec(release()) ?? [];
const host = `${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${kernel}`;
const how = `${host}; ${mediansOf(ROUNDS, ROUND_MS)}, 64 connections; in brackets ${nameOfSpread(ROUNDS)} of the rounds' ratios. Differences within the brackets are noise; compare CPU a request.`;
publish('docs/benchmarks.md', how, [`![requests a second](${path.relative('docs', chart)})`, ...sections].join('\n\n'));
