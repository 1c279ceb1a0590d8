// Mainstay beside others that answer the same bytes: `npm run bench`. In rounds, each service for a moment in each, so that whatever else
// the machine does meets all of them; then medians, and ratios of the same round. `FORM=long npm run bench` takes an hour.
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import path from 'node:path';
import { ROOT } from '../test/support/paths.ts';
import { barChart } from './chart.ts';
import { greet, type Round } from './greet.ts';
import { BARE, CONTENDERS, type Contender, type Greeter, LAUNCHERS } from './hello.ts';
import { markdownTable, writeSection } from './report.ts';
import { median, percentile } from './statistics.ts';

const FORMS = { short: { rounds: 5, ms: 1500 }, long: { rounds: 40, ms: 3000 } };
const { rounds: ROUNDS, ms: ROUND_MS } = process.env.FORM === 'long' ? FORMS.long : FORMS.short;
const WARMING_MS = 2500;

type Result = Contender & { readonly greeter: Greeter; readonly rounds: Round[] };

const results: Result[] = [];
try {
  for (const contender of CONTENDERS) {
    console.error(`starting ${contender.service}, ${contender.launcher}`);
    const greeter = await contender.start();
    results.push({ ...contender, greeter, rounds: [] });
    await greet(greeter, WARMING_MS);
  }
  for (let round = 1; round <= ROUNDS; round++) {
    console.error(`round ${round} of ${ROUNDS}`);
    for (const { greeter, rounds } of results) rounds.push(await greet(greeter, ROUND_MS));
  }
} finally {
  for (const { greeter } of results) await greeter.stop();
}

/** Of each round, as a part of what node:http did in it under the same launcher. */
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
      const name = result.isOurs ? `**${result.service}**` : result.service;
      return [
        name,
        Math.round(of(result, ({ perSecond }) => perSecond)).toLocaleString('en'),
        `${median(ratio).toFixed(2)} (${percentile(ratio, 10).toFixed(2)}–${percentile(ratio, 90).toFixed(2)})`,
        of(result, ({ cpuUs }) => cpuUs).toFixed(1),
        of(result, ({ p50Ms }) => p50Ms).toFixed(2),
        of(result, ({ p99Ms }) => p99Ms).toFixed(2),
        Math.round(of(result, ({ rssMb }) => rssMb)),
      ];
    });
  return `### ${launcher[0]?.toUpperCase()}${launcher.slice(1)}\n\n${markdownTable([HEAD, ...rows])}`;
});

const title = `Node ${process.versions.node}, ${availableParallelism()} cores`;
const chart = `benchmarks-node-${process.versions.node.split('.')[0]}.svg`;
mkdirSync(path.join(ROOT, 'docs/charts'), { recursive: true });
writeFileSync(
  path.join(ROOT, 'docs/charts', chart),
  await barChart(
    `GET /hello/John, one process: requests a second, ${title}`,
    results
      .filter(({ launcher }) => launcher === LAUNCHERS[0])
      .map((result) => ({
        name: result.service,
        value: of(result, ({ perSecond }) => perSecond),
        isOurs: result.isOurs,
      })),
  ),
);
const machine = `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}, Node ${process.versions.node}`;
const how = `${new Date().toISOString().slice(0, 10)}, ${machine}. Medians of ${ROUNDS} rounds of ${ROUND_MS / 1000} s, 64 connections; in brackets the tenth and the ninetieth percentile of the rounds' ratios.`;
const section = `${how}\n\n![requests a second](charts/${chart})\n\n${sections.join('\n\n')}`;
console.log(`## ${title}\n\n${section}`);
writeSection('docs/benchmarks.md', title, section);
