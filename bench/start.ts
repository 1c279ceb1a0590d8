// How long a process takes from its start to its first answer, how soon a worker is replaced, and how much memory each has:
// `npm run bench:start`, three minutes.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FirstAnswer, firstAnswer } from './first-answer.ts';
import { greet } from './greet.ts';
import { CONTENDERS, LAUNCHERS, scrape } from './hello.ts';
import { Launched } from './launched.ts';
import { processTree, pssBytes, rssBytes } from './process-tree.ts';
import { markdownTable, publish } from './report.ts';
import { repetitions } from './settings.ts';
import { median } from './statistics.ts';

const LAUNCHES = repetitions('LAUNCHES', 15);
const KILLS = 10;
const RELOADS = 5;

const LOAD_MS = 2000;
const SETTLING_MS = 1500;

/** A worker that dies younger is replaced with a delay. */
const GROWN_UP_MS = 1500;

const folder = mkdtempSync(path.join(tmpdir(), 'start-'));
const cache = { NODE_COMPILE_CACHE: path.join(folder, 'cache') };
const inMemory = { DATABASE_URL: 'file::memory:' };
const onDisk = { DATABASE_URL: `file:${folder}/events.db` };
const uncached = { NODE_DISABLE_COMPILE_CACHE: '1' };

/** Node writes its cache when a process ends by itself, and these end by a signal. */
const WRITES_CACHE = '--import=data:text/javascript,process.on("SIGTERM",()=>process.exit())';

const PLAIN = 'Fastify, JavaScript, as people run it';

type Program = { readonly name: string; readonly args: string[]; readonly environment: NodeJS.ProcessEnv };

const PROGRAMS: readonly Program[] = [
  { name: '`node:http`, bare', args: ['bench/peers/hello/bare.js'], environment: {} },
  { name: PLAIN, args: ['bench/peers/hello/fastify.js'], environment: {} },
  { name: 'Fastify, compile cache', args: ['bench/peers/hello/fastify.js'], environment: cache },
  { name: 'Fastify, under-pressure, prom-client', args: ['bench/peers/hello/fastify-usual.js'], environment: {} },
  { name: 'Express 5', args: ['bench/peers/hello/express.js'], environment: {} },
  { name: '**Mainstay**, events in memory', args: ['src/server/main.js'], environment: inMemory },
  { name: '**Mainstay**, events on disk', args: ['src/server/main.js'], environment: onDisk },
  {
    name: 'Mainstay without its compile cache, events in memory',
    args: ['src/server/main.js'],
    environment: { ...inMemory, ...uncached },
  },
  {
    name: '**Mainstay**, supervisor and two workers, events on disk',
    args: ['src/cluster/main.js'],
    environment: { ...onDisk, WORKERS: '2' },
  },
];

async function warm({ args, environment }: Program): Promise<void> {
  const started = await Launched.start([WRITES_CACHE, ...args], environment);
  await started.stop();
}

async function starts(): Promise<string> {
  for (const program of PROGRAMS.filter(({ environment }) => environment === cache)) await warm(program);
  const measured = new Map<Program, FirstAnswer[]>(PROGRAMS.map((program) => [program, []]));
  // The first ones warm the cache of Mainstay, and the kernel's of all files.
  for (const { args, environment } of PROGRAMS) await firstAnswer(args, environment);
  for (let launch = 0; launch < LAUNCHES; launch++) {
    for (const [{ args, environment }, answers] of measured) answers.push(await firstAnswer(args, environment));
  }
  const plain = [...measured].find(([{ name }]) => name === PLAIN)?.[1] ?? [];
  const rows = [...measured].map(([{ name }, answers]) => [
    name,
    ...(['ms', 'mainThreadMs', 'cpuMs'] as const).flatMap((of) => {
      const values = answers.map((answer) => answer[of]);
      // Each is compared with the one that was launched beside it.
      const ratios = answers.map((answer, launch) => answer[of] / (plain[launch]?.[of] ?? Number.NaN));
      return [range(values), median(ratios).toFixed(2)];
    }),
  ]);
  const head = [
    'one start',
    ...['first answer, ms', 'CPU of main threads, ms', 'CPU of all threads, ms'].flatMap((what) => [
      what,
      'of Fastify',
    ]),
  ];
  return markdownTable([head, ...rows]);
}

/** Two workers under a supervisor, and how often and when one of them says that it is ready. */
class Supervised {
  readonly #service: Launched;
  #ready = 0;

  private constructor(service: Launched) {
    this.#service = service;
  }

  static async start(): Promise<Supervised> {
    const environment = { ...onDisk, WORKERS: '2', RELOAD_IDLE_MS: '100' };
    const supervised = new Supervised(
      await Launched.start(['src/cluster/main.js'], environment, { keepsOutput: true }),
    );
    await supervised.#another();
    await supervised.#another();
    return supervised;
  }

  /** Until the next worker that is not counted yet. */
  async #another(): Promise<void> {
    const wanted = ++this.#ready;
    while (this.#service.output.split('"msg":"worker ready"').length <= wanted) await sleep(1);
  }

  async afterKill(): Promise<number> {
    await sleep(GROWN_UP_MS);
    const [, worker = 0] = processTree(this.#service.pid);
    const killedAt = performance.now();
    process.kill(worker, 'SIGKILL');
    await this.#another();
    return performance.now() - killedAt;
  }

  async inReload(): Promise<number> {
    const askedAt = performance.now();
    this.#service.signal('SIGHUP');
    await this.#another();
    const took = performance.now() - askedAt;
    await this.#another();
    await sleep(GROWN_UP_MS);
    return took;
  }

  stop(): Promise<void> {
    return this.#service.stop();
  }
}

async function replacements(): Promise<string> {
  const supervised = await Supervised.start();
  const kills: number[] = [];
  const reloads: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) kills.push(await supervised.afterKill());
  for (let reload = 0; reload < RELOADS; reload++) reloads.push(await supervised.inReload());
  await supervised.stop();
  return markdownTable([
    ['one of two workers is replaced', 'ready after, ms'],
    ['`kill -9`', range(kills)],
    ['SIGHUP, the first of the reload', range(reloads)],
  ]);
}

async function memory(): Promise<string> {
  const rows: (string | number)[][] = [];
  for (const { service, start } of CONTENDERS.filter(({ launcher }) => launcher === LAUNCHERS[1])) {
    const greeter = await start();
    await greet(greeter, LOAD_MS);
    await scrape(greeter);
    await sleep(SETTLING_MS);
    const [first = 0, ...workers] = processTree(greeter.pid);
    const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);
    rows.push([
      service,
      megabytes(median(workers.map(rssBytes))),
      megabytes(median(workers.map(pssBytes))),
      megabytes(rssBytes(first)),
      megabytes(pssBytes(first)),
    ]);
    await greeter.stop();
  }
  return markdownTable([
    [
      'two workers, after load',
      'worker, MB resident',
      'of it its share',
      'first process, MB resident',
      'of it its share',
    ],
    ...rows,
  ]);
}

/** The median, and least to most. */
function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return `${median(values).toFixed(0)} (${least.toFixed(0)}–${most.toFixed(0)})`;
}

const tables = [await starts(), await replacements(), await memory()];
publish('docs/start.md', `medians of ${LAUNCHES} launches in turn, and least to most.`, tables.join('\n\n'));
