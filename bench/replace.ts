// Replaces the processes of this service, and of others, under load, and counts what their clients lose:
// `npm run bench:replace`, half an hour.
import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClientsOfEveryKind, KINDS, LOSSES } from '../test/support/clients.ts';
import { CONTENDERS, type Contender } from './replaceable.ts';
import { markdownTable, publish } from './report.ts';
import { refuse, setting, WRITES_PAGE, wholeNumber } from './settings.ts';

const REPLACEMENTS = wholeNumber('REPLACEMENTS', 100);
/** Of each kind. */
const CLIENTS = wholeNumber('CLIENTS', 32, { most: 10_000 });
/** A part of the name of those that are to run. */
const ONLY = setting('ONLY', '');
if (WRITES_PAGE && ONLY !== '') refuse('A page has all of them: leave out ONLY, or WRITE.');
const chosen = CONTENDERS.filter(({ service, launcher }) => `${service} ${launcher}`.includes(ONLY));
if (chosen.length === 0) {
  const names = CONTENDERS.map(({ service, launcher }) => `"${service} ${launcher}"`);
  refuse(`ONLY must be a part of ${names.join(' or ')}, got ${JSON.stringify(ONLY)}`);
}

/** All clients together ask at most so often a second where they are many: else this process would be too busy to be many. */
const MANY = 100;
const RATE = 5000;
const ASKING_AT_A_TIME = 8 * CLIENTS;
const pauseMs = CLIENTS < MANY ? 0 : (2 * 1000 * ASKING_AT_A_TIME) / RATE;

/** The others lose some in each: a few show it. */
const PEERS_MOST = 10;

/** Between two replacements. */
const PAUSE_MS = 500;

async function measure({ service, launcher, isOurs, start }: Contender): Promise<(string | number)[]> {
  const times = Math.min(REPLACEMENTS, isOurs ? Number.POSITIVE_INFINITY : PEERS_MOST);
  await using ends = new AsyncDisposableStack();
  const replaceable = await start();
  ends.defer(() => replaceable.stop());
  const clients = new ClientsOfEveryKind({ url: replaceable.url, clients: CLIENTS, pauseMs });
  const lag = monitorEventLoopDelay({ resolution: 1 });
  lag.enable();
  const startedAt = performance.now();
  await clients.asked(10);
  for (let replacement = 0; replacement < times; replacement++) {
    await replaceable.replace();
    await sleep(PAUSE_MS);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  await clients.stop();
  const kinds = [...clients.byKind.values()];
  const lost = clients.failures.length;
  for (const failure of new Set(clients.failures)) console.error(`  ${failure}`);
  return [
    service,
    launcher,
    times,
    (seconds / times).toFixed(1),
    (clients.answered + lost).toLocaleString('en'),
    `**${lost}**`,
    (lag.percentile(99) / 1e6).toFixed(0),
    ...LOSSES.map((loss) => kinds.reduce((sum, { lost }) => sum + lost[loss], 0)),
    ...kinds.map(({ failures }) => failures.length),
  ];
}

const head = [
  'service',
  'replaced',
  'times',
  's each',
  'requests',
  'lost',
  'p99 ms that this process lags',
  ...LOSSES,
  ...KINDS,
];
const rows: (string | number)[][] = [];
for (const contender of chosen) {
  const row = await measure(contender);
  rows.push(row);
  console.error(row.join(' | '));
}
publish(
  'docs/replacements.md',
  `${availableParallelism()} cores.`,
  markdownTable([head, ...rows]),
  `Node ${process.versions.node}, ${CLIENTS} clients of each kind`,
);
