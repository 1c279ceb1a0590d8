// Is the working tree faster or slower than a commit? `npm run bench:compare -- main~1`. Both run at once and are asked in turn, in
// short rounds, so that whatever else the machine does meets both; and both are started several times, for two processes of the
// same code differ by a tenth, by how the compiler happened to see it. It takes two minutes, and ends with 1 if the
// working tree is slower or takes more CPU, beyond noise.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT } from '../test/support/paths.ts';
import { greet, type Round } from './greet.ts';
import { Launched } from './launched.ts';
import { oneOf, refuse, wholeNumber } from './settings.ts';
import { CERTAINTY, median, medianInterval } from './statistics.ts';

const [commit = 'HEAD'] = process.argv.slice(2);
const LAUNCHES = wholeNumber('LAUNCHES', 8, { most: 1000 });
const REQUEST_LOG = oneOf('REQUEST_LOG', 'false', ['true', 'false']);
const ARCHIVE_MAX_BYTES = 256 * 1024 * 1024;
const ROUNDS = 4;
const ROUND_MS = 500;
const WARMING_MS = 2000;

/** Less is taken for the same: as much lies between two runs of the same code. */
const NOTICEABLE = 0.02;

const plain = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat('en', { style: 'percent' });
const absolute = new Intl.NumberFormat('en', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
const signed = new Intl.NumberFormat('en', {
  style: 'percent',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  signDisplay: 'exceptZero',
});

const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();

try {
  git('rev-parse', '--quiet', '--verify', `${commit}^{commit}`);
} catch {
  refuse(`there is no commit ${commit} here: name one, as in npm run bench:compare -- main~1`);
}
const before = mkdtempSync(path.join(tmpdir(), 'before-'));
execFileSync('tar', ['-x', '-C', before], {
  input: execFileSync('git', ['archive', commit], { cwd: ROOT, maxBuffer: ARCHIVE_MAX_BYTES }),
});
// With the present dependencies: the code is compared.
symlinkSync(path.join(ROOT, 'node_modules'), path.join(before, 'node_modules'));
const launches: Pair[] = [];
for (let launch = 0; launch < LAUNCHES; launch++) {
  const { old, now } = await measure(launch);
  launches.push({ old, now });
  console.error(`launch ${launch + 1} of ${LAUNCHES}: ${inWords(now)}, before ${inWords(old)}`);
}
console.log(`The working tree beside ${git('log', '-1', '--format=%h %s', commit)}`);
const speed = report('requests/s', launches, ({ perSecond }) => perSecond, { more: 'faster', less: 'slower' });
const price = report('CPU per request, µs', launches, ({ cpuUs }) => cpuUs, {
  more: 'more (worse)',
  less: 'less (better)',
});
if (speed === 'less' || price === 'more') process.exitCode = 1;

type Measured = Pick<Round, 'perSecond' | 'cpuUs'>;
type Pair = { readonly old: Measured; readonly now: Measured };

async function measure(launch: number): Promise<Pair> {
  const folders = [path.relative(ROOT, before), '.'];
  // Who comes first, changes.
  if (launch % 2 === 1) folders.reverse();
  await using ends = new AsyncDisposableStack();
  const services: { service: Launched; rounds: Round[] }[] = [];
  for (const folder of folders) {
    const service = await Launched.start(['src/server/main.js'], { REQUEST_LOG }, { folder });
    ends.defer(() => service.stop());
    await greet(service, WARMING_MS);
    services.push({ service, rounds: [] });
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const { service, rounds } of services) rounds.push(await greet(service, ROUND_MS));
  }
  const [first, second] = services.map(({ rounds }) => ({
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    cpuUs: median(rounds.map(({ cpuUs }) => cpuUs)),
  })) as [Measured, Measured];
  return launch % 2 === 1 ? { old: second, now: first } : { old: first, now: second };
}

function inWords({ perSecond, cpuUs }: Measured): string {
  return `${plain.format(perSecond)} requests/s at ${plain.format(cpuUs)} µs`;
}

/** What a larger figure is called, and a smaller one, so that nobody has to know which of them is better. */
type Words = { readonly more: string; readonly less: string };

/**
 * Prints by how much the median launch differs, and between which two differences that lies for all launches that there could be.
 *
 * @returns whether that is more or less, beyond noise
 */
function report(
  what: string,
  pairs: readonly Pair[],
  pick: (measured: Measured) => number,
  words: Words,
): keyof Words | undefined {
  const changes = pairs.map(({ old, now }) => pick(now) / pick(old) - 1);
  const { low, high, certainty } = medianInterval(changes);
  const change = median(changes);
  // Only one of the medians: how the two compare is another figure than the median of what was measured side by side.
  const baseline = median(pairs.map((pair) => pick(pair.old)));
  const interval = `${signed.format(low)} … ${signed.format(high)}, ${whole.format(certainty)} interval`;
  const difference = `${absolute.format(Math.abs(change))} ${change < 0 ? words.less : words.more}`;
  const isCertain = certainty >= CERTAINTY;
  const verdict = isCertain && low > NOTICEABLE ? 'more' : isCertain && high < -NOTICEABLE ? 'less' : undefined;
  const unknown = isCertain ? 'the same within noise' : 'too few launches to tell';
  const told = verdict === undefined ? unknown : words[verdict];
  console.log(`${what}: ${difference} (${interval}), baseline ${plain.format(baseline)}: ${told}`);
  return verdict;
}
