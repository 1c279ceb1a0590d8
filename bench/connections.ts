// 50,000 kept connections on four workers, held through a rolling reload, and clients that send a byte a second:
// `npm run bench:connections`, in five minutes.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { KeptClientsOptions, KeptClientsTally } from './kept-clients.ts';
import { Launched } from './launched.ts';
import { cpuMs, processTree, pssBytes } from './process-tree.ts';
import { markdownTable, publish } from './report.ts';
import { refuse, wholeNumber } from './settings.ts';
import type { SlowClientsOptions, SlowClientsTally } from './slow-clients.ts';
import { percentile } from './statistics.ts';

const CONNECTIONS = wholeNumber('CONNECTIONS', 50_000, { least: 4, most: 200_000 });
const PERIOD_MS = 10_000;
const MEASURED_MS = 30_000;
const SLOW = 5000;

const WORKERS = 4;
/** Each holds a part of the connections that its descriptors suffice for, and so does each worker. */
const CLIENT_PROCESSES = 4;
/** A worker may get more than its fourth. */
const MAX_CONNECTIONS = 19_000;
/** Fewer bytes than this come and go by themselves: they say nothing of connections. */
const NOTICEABLE_BYTES = 16 * 1024 * 1024;

/** What it has open besides them. */
const OTHER_DESCRIPTORS = 1000;

const wanted = Math.min(CONNECTIONS, MAX_CONNECTIONS) + OTHER_DESCRIPTORS;
const [, descriptors] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
if (Number(descriptors) < wanted) {
  refuse(`${wanted} open files are needed, and ${descriptors} allowed: ulimit -n ${wanted}`);
}

class ClientProcess<Tally> {
  readonly #child: ChildProcess;

  constructor(file: string, options: KeptClientsOptions | SlowClientsOptions) {
    this.#child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(options)], {
      serialization: 'advanced',
    });
  }

  /** What has come about there since it was last asked. */
  async tally(): Promise<Tally> {
    this.#child.send('tally');
    const [tally] = await once(this.#child, 'message');
    return tally;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

await using service = await Launched.start(['src/cluster/main.js'], {
  // The clients need more addresses than one, for each has ports for some 28,000 connections.
  HOST: '0.0.0.0',
  WORKERS: String(WORKERS),
  MAX_CONNECTIONS: String(MAX_CONNECTIONS),
});
const port = Number(new URL(service.url).port);

function keptClients(connections: number, periodMs: number, processes: number): ClientProcess<KeptClientsTally>[] {
  return Array.from({ length: processes }, (_, index) => {
    const hosts = [`127.0.0.${1 + 2 * index}`, `127.0.0.${2 + 2 * index}`];
    const each = { port, hosts, connections: connections / processes, periodMs, periodsToBegin: 2 };
    return new ClientProcess<KeptClientsTally>('kept-clients.ts', each);
  });
}

async function tallyOf(clients: ClientProcess<KeptClientsTally>[]) {
  const tallies = await Promise.all(clients.map((client) => client.tally()));
  const failures = new Map<string, number>();
  for (const [how, times] of tallies.flatMap((tally) => Object.entries(tally.failures))) {
    failures.set(how, (failures.get(how) ?? 0) + times);
  }
  return {
    latenciesMs: tallies.flatMap(({ latenciesMs }) => latenciesMs),
    opened: tallies.reduce((sum, { opened }) => sum + opened, 0),
    lagMs: Math.max(...tallies.map(({ lagMs }) => lagMs)),
    failures,
  };
}

function memoryBytes(): number {
  return processTree(service.pid).reduce((sum, pid) => sum + pssBytes(pid), 0);
}

/** Of what each worker holds, the most. */
function mostDescriptors(): number {
  return Math.max(...processTree(service.pid).map((pid) => readdirSync(`/proc/${pid}/fd`).length));
}

/** What the clients see while something goes on: a row of a table. */
async function phase(name: string, clients: ClientProcess<KeptClientsTally>[], happens: () => Promise<unknown>) {
  await tallyOf(clients);
  const startedAt = performance.now();
  const cpuBefore = cpuMs(processTree(service.pid));
  await happens();
  const ms = performance.now() - startedAt;
  const cores = (cpuMs(processTree(service.pid)) - cpuBefore) / ms;
  const { latenciesMs, opened, lagMs, failures } = await tallyOf(clients);
  const failed = [...failures].map(([how, times]) => `${times} ${how}`).join(', ');
  const row = [
    name,
    (ms / 1000).toFixed(0),
    latenciesMs.length.toLocaleString('en'),
    `**${failed || 0}**`,
    percentile(latenciesMs, 50).toFixed(1),
    percentile(latenciesMs, 99).toFixed(1),
    percentile(latenciesMs, 100).toFixed(0),
    opened.toLocaleString('en'),
    cores.toFixed(2),
    lagMs.toFixed(0),
  ];
  console.error(row.join(' | '));
  return row;
}

const HEAD = [
  'phase',
  's',
  'answers',
  'failures',
  'p50 ms',
  'p99 ms',
  'max ms',
  'connections opened',
  'cores that the service used',
  'ms that the clients lagged at worst',
];

async function reload(): Promise<void> {
  const before = new Set(processTree(service.pid).slice(1));
  service.signal('SIGHUP');
  do await sleep(100);
  while (processTree(service.pid).some((pid) => before.has(pid)));
}

async function heldConnections(): Promise<string> {
  // Warm, or what the requests take would be counted as if the connections took it.
  const few = keptClients(100, 100, 1);
  await sleep(10_000);
  await Promise.all(few.map((client) => client.stop()));
  const before = memoryBytes();

  const clients = keptClients(CONNECTIONS, PERIOD_MS, CLIENT_PROCESSES);
  const sizes: string[][] = [];
  const size = (when: string) => {
    const grown = memoryBytes() - before;
    const each = grown > NOTICEABLE_BYTES ? (grown / CONNECTIONS / 1024).toFixed(1) : 'too few to tell';
    const row = [when, each, mostDescriptors().toLocaleString('en')];
    console.error(row.join(' | '));
    sizes.push(row);
  };
  const rows = [
    await phase('opening', clients, () => sleep(3 * PERIOD_MS)),
    await phase('held', clients, () => sleep(MEASURED_MS)),
  ];
  size('held');
  rows.push(await phase('reload', clients, reload));
  rows.push(await phase('after it', clients, () => sleep(MEASURED_MS)));
  size('after the reload');
  await Promise.all(clients.map((client) => client.stop()));
  return [
    markdownTable([HEAD, ...rows]),
    markdownTable([['memory', 'KB for each connection', 'descriptors of the worker that has most'], ...sizes]),
  ].join('\n\n');
}

const SLOW_KINDS = [
  {
    name: `${SLOW.toLocaleString('en')} that send headers so`,
    beginning: 'GET /hello/John HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
    forMs: MEASURED_MS,
  },
  {
    name: `${SLOW.toLocaleString('en')} that send a body so`,
    beginning:
      'POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n',
    // Longer than a request may take.
    forMs: MEASURED_MS + 15_000,
  },
];

async function slowConnections(): Promise<string> {
  const clients = keptClients(1000, 1000, 1);
  await sleep(3000);
  const rows = [[...(await phase('no slow ones', clients, () => sleep(MEASURED_MS))), '', '']];
  for (const { name, beginning, forMs } of SLOW_KINDS) {
    const slow = new ClientProcess<SlowClientsTally>('slow-clients.ts', { port, connections: SLOW, beginning });
    const row = await phase(name, clients, () => sleep(forMs));
    const { lastedMs, told } = await slow.tally();
    await slow.stop();
    const seconds = [0, 50, 100].map((percent) => (percentile(lastedMs, percent) / 1000).toFixed(1));
    rows.push([...row, seconds.join(' / '), `${told} of ${lastedMs.length}`]);
  }
  await Promise.all(clients.map((client) => client.stop()));
  return markdownTable([[...HEAD, 'cut after s: least / median / most', 'of these, told 408'], ...rows]);
}

const held = await heldConnections();
const slow = await slowConnections();
const how = `${CONNECTIONS.toLocaleString('en')} connections on ${WORKERS} workers with \`MAX_CONNECTIONS=${MAX_CONNECTIONS}\`, each asks every ${PERIOD_MS / 1000} s.`;
const others = '1,000 others ask once a second, while there are connections that send a byte a second:';
publish('docs/connections.md', how, [held, others, slow].join('\n\n'));
