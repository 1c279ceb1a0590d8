// How many events a second services take, whether they are durable when they are acknowledged, and what each costs:
// `npm run bench:events`. PostgreSQL and Redis are started where they are installed. CPU is that of the service's processes
// and of the server in which it keeps events: other work on the machine changes the rate, but hardly the price. All stores
// are in the folder for temporary files: where that is memory, let TMPDIR name one that is on a disk.
import { randomUUID } from 'node:crypto';
import { type Asked, type Load, measure, type Round } from './event-round.ts';
import { type Contender, startContenders } from './event-stores.ts';
import { markdownTable, mediansOf, publish } from './report.ts';
import { repetitions, wholeNumber } from './settings.ts';
import { median } from './statistics.ts';

const ROUNDS = repetitions('ROUNDS', 5);
const ROUND_MS = wholeNumber('ROUND_MS', 5000, { least: 100 });

// Made in advance where they may repeat: what the clients do costs the service its cores.
const one = post(1, false);
const hundred = post(100, false);

const LOADS: readonly Load[] = [
  { name: 'batches of 100', clients: 32, events: 100, request: () => hundred },
  { name: 'batches of 100, each event with a random id', clients: 32, events: 100, request: () => post(100, true) },
  { name: 'one by one', clients: 256, events: 1, request: () => one },
];

/** What a request costs that keeps nothing. */
const HELLO: Load = {
  name: '`GET /hello/John` instead',
  clients: 256,
  events: 1,
  request: () => ({ method: 'GET', path: '/hello/John' }),
};

function post(events: number, hasIds: boolean): Asked {
  const lines = Array.from({ length: events }, (_, index) => line(index, hasIds));
  return {
    method: 'POST',
    path: '/events',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  };
}

function line(index: number, hasIds: boolean): string {
  const id = hasIds ? `"id":"${randomUUID()}",` : '';
  return `{${id}"type":"type-${index % 5}","value":${index % 1000},"data":{"player":"player-${index % 997}"}}`;
}

const HEAD = [
  '',
  'service',
  'survives a power cut',
  'clients',
  'events a second',
  'CPU an event, µs: service',
  'CPU an event, µs: its server',
  'answer after, p50 / p99',
  'event-loop delay, p99',
];

function row({ name, clients }: Load, { service, survivesPowerCut }: Contender, rounds: readonly Round[]) {
  const of = (pick: (round: Round) => number, digits = 0) =>
    median(rounds.map(pick)).toLocaleString('en', { maximumFractionDigits: digits });
  const hasServer = rounds.some(({ serverCpuUs }) => serverCpuUs !== undefined);
  return [
    name,
    service,
    survivesPowerCut ? 'yes' : '**no**',
    clients,
    of(({ rate }) => rate),
    of(({ cpuUs }) => cpuUs, 1),
    hasServer ? of(({ serverCpuUs = Number.NaN }) => serverCpuUs, 1) : '–',
    `${of(({ latencyP50Ms }) => latencyP50Ms)} / ${of(({ latencyP99Ms }) => latencyP99Ms)} ms`,
    `${of(({ loopP99Ms }) => loopP99Ms, 1)} ms`,
  ];
}

await using ends = new AsyncDisposableStack();
const contenders = await startContenders(ends);
const pairs = LOADS.flatMap((load) => contenders.map((contender) => ({ load, contender })));
const results = [...pairs, ...contenders.slice(0, 1).map((contender) => ({ load: HELLO, contender }))].map((pair) => ({
  ...pair,
  rounds: [] as Round[],
}));
for (let round = 0; round < ROUNDS; round++) {
  for (const { load, contender, rounds } of results) {
    await using roundEnds = new AsyncDisposableStack();
    const measured = await measure(await contender.start(roundEnds), load, ROUND_MS);
    console.error(`${contender.service}, ${load.name}:`, measured);
    rounds.push(measured);
  }
}

const table = markdownTable([HEAD, ...results.map(({ load, contender, rounds }) => row(load, contender, rounds))]);
publish('docs/events.md', `${mediansOf(ROUNDS, ROUND_MS)}.`, table);
