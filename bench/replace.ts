// Replaces the processes of this service, and of others, under load, and counts what their clients lose:
// `npm run bench:replace`. Writes docs/replacements.md, unless `--only` names a part of what is to run.
import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ClientsOfEveryKind, KINDS, LOSSES } from '../test/support/clients.ts';
import { CONTENDERS, type Contender } from './replaceable.ts';
import { markdownTable, writeSection } from './report.ts';

const { values: options } = parseArgs({
  options: {
    replacements: { type: 'string', default: '100' },
    /** Of each kind. */
    clients: { type: 'string', default: '32' },
    /** Part of the name of those that are to run. */
    only: { type: 'string', default: '' },
  },
});
const clientsOfEach = Number(options.clients);

/** All clients together ask at most so often a second where they are many: else this process would be too busy to be many. */
const MANY = 100;
const RATE = 5000;
const ASKING_AT_A_TIME = 8 * clientsOfEach;
const pauseMs = clientsOfEach < MANY ? 0 : (2 * 1000 * ASKING_AT_A_TIME) / RATE;

/** The others lose some in each: a few show it. */
const PEERS_MOST = 10;

/** Between two replacements. */
const PAUSE_MS = 500;

async function measure({ service, launcher, isOurs, start }: Contender): Promise<(string | number)[]> {
  const times = Math.min(Number(options.replacements), isOurs ? Number.POSITIVE_INFINITY : PEERS_MOST);
  const replaceable = await start();
  const clients = new ClientsOfEveryKind({ url: replaceable.url, clients: clientsOfEach, pauseMs });
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
  await replaceable.stop();
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
for (const contender of CONTENDERS) {
  if (!`${contender.service} ${contender.launcher}`.includes(options.only)) continue;
  const row = await measure(contender);
  rows.push(row);
  console.error(row.join(' | '));
}
const title = `Node ${process.versions.node}, ${clientsOfEach} clients of each kind`;
const machine = `${availableParallelism()} cores, ${new Date().toISOString().slice(0, 10)}`;
const section = `${machine}.\n\n${markdownTable([head, ...rows])}`;
console.log(`## ${title}\n\n${section}`);
if (options.only === '') writeSection('docs/replacements.md', title, section);
