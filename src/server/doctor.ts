import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { getHeapStatistics } from 'node:v8';
import { ConfigError, readConfig } from '../config/read-config.ts';
import type { Config } from '../config/settings.ts';
import { workerCount } from '../config/worker-count.ts';
import { affordableConnections, openFilesLimits } from './descriptors.ts';
import { BACKLOG } from './listen.ts';

/** What the host allows, what that means for this service, and, where it may be too little, how to raise it. */
export type Finding = {
  readonly what: string;
  readonly meaning: string;
  readonly advice?: string | false;
};

const MB = 1024 * 1024;

/** The supervisor shares it among the workers: src/cluster/fork.ts. */
const HEAP_PERCENTAGE = '--max-old-space-size-percentage=';

/** What a process needs besides its heap. */
const BESIDE_HEAP_MB = 100;

/** Descriptors that it is advised to have besides those of its connections. */
const BESIDE_CONNECTIONS = 1000;

const USAGE = `Usage: npm run doctor

Prints what this host allows the service (cores, memory, open files, connections), what that means with the settings
in the environment, and how to raise what may be too little. It changes nothing and starts nothing.

Exits with 0, also when it warns, and with 78 for wrong settings.`;

/** `npm run doctor`: prints a line for each finding. It changes nothing and starts nothing. */
export function main(): void {
  if (isHelpWanted()) {
    console.log(USAGE);
    return;
  }
  const findings = examine(readConfig(process.env));
  for (const { what, meaning, advice } of findings) {
    console.log(`${advice ? 'warn' : 'ok  '}  ${what}: ${meaning}${advice ? ` → ${advice}` : ''}`);
  }
}

/** @param readFile returns undefined where there is no such file, as on other systems than Linux */
export function examine(config: Config, readFile = readIfThere): Finding[] {
  const workers = workerCount(config);
  return [
    node(),
    cores(config, workers, readFile('/sys/fs/cgroup/cpu.max')),
    memory(workers),
    descriptors(config, workers),
    backlog(readFile('/proc/sys/net/core/somaxconn')),
    ports(readFile('/proc/sys/net/ipv4/ip_local_port_range')),
  ].flat();
}

function node(): Finding {
  return { what: 'Node.js', meaning: `${process.versions.node}, at ${process.execPath}` };
}

function cores(config: Config, workers: number, quota: string | undefined): Finding {
  const usable = availableParallelism();
  const [limit, period] = quota?.split(' ').map(Number) ?? [];
  const isLimited = limit !== undefined && period !== undefined && Number.isFinite(limit);
  return {
    what: 'cores',
    meaning: `this process may use ${usable} of ${cpus().length}${isLimited ? ` (cgroup quota: ${limit / period})` : ''}; WORKERS=${config.workers}${config.workers === 'auto' ? ` starts ${workers}` : ''}`,
    advice:
      workers > usable &&
      'more workers than cores handle no more requests, only more connections; WORKERS=auto starts one per core',
  };
}

/** @param flags those of node that this process was started with, which need not be the service's */
export function memory(
  workers: number,
  limitBytes = process.constrainedMemory(),
  heapBytes = getHeapStatistics().heap_size_limit,
  flags = process.execArgv,
): Finding {
  const isLimited = limitBytes > 0 && limitBytes < totalmem();
  const isShared = flags.some((flag) => flag.startsWith(HEAP_PERCENTAGE));
  const allowedMb = Math.round((isLimited ? limitBytes : totalmem()) / MB);
  const heapMb = Math.round(heapBytes / MB / (isShared ? workers : 1));
  const mayNeedMb = workers * (heapMb + BESIDE_HEAP_MB);
  return {
    what: 'memory',
    meaning: `${allowedMb} MB ${isLimited ? 'allowed to this process' : 'in this machine'}; the heap of each worker (${workers}) may grow to ${heapMb} MB`,
    advice:
      mayNeedMb > allowedMb &&
      (isShared
        ? 'the kernel may kill a worker before its heap is full: lower the percentage, or WORKERS'
        : `the kernel may kill a worker before its heap is full, unless the service is started with node ${HEAP_PERCENTAGE}60, as in the Dockerfile; the supervisor divides that among the workers`),
  };
}

export function descriptors(
  config: Config,
  workers: number,
  affordable = affordableConnections(config),
  hardLimit = openFilesLimits().hard,
): Finding | [] {
  const { maxConnections } = config;
  // Where there is no /proc, nothing is known of it.
  if (!Number.isFinite(affordable)) return [];
  const isTooLow = affordable < maxConnections;
  const wanted = maxConnections + BESIDE_CONNECTIONS;
  const byRoot = hardLimit < wanted ? `; the hard limit is ${hardLimit}, and only root can raise it` : '';
  const each = isTooLow
    ? `the limit on open files leaves each worker about ${affordable} connections, fewer than MAX_CONNECTIONS (${maxConnections})`
    : `each worker may have ${maxConnections} connections (MAX_CONNECTIONS), and the limit on open files leaves room for about ${affordable}`;
  return {
    what: 'descriptors',
    meaning: `${each}; all workers together: ${workers * Math.min(affordable, maxConnections)}; any beyond that are closed at once`,
    advice:
      isTooLow &&
      `raise the limit on open files: ulimit -n ${wanted}, LimitNOFILE= in systemd, --ulimit nofile= in Docker${byRoot}`,
  };
}

function backlog(somaxconn: string | undefined): Finding | [] {
  if (somaxconn === undefined) return [];
  const most = Number(somaxconn);
  return {
    what: 'net.core.somaxconn',
    meaning: `up to ${Math.min(most, BACKLOG)} connections may wait to be accepted; when that queue is full, further ones are delayed by a second or more`,
    advice: most < BACKLOG && `sysctl -w net.core.somaxconn=${BACKLOG}`,
  };
}

function ports(range: string | undefined): Finding | [] {
  if (range === undefined) return [];
  const [first = 0, last = 0] = range.trim().split(/\s+/).map(Number);
  const count = last - first + 1;
  return {
    what: 'net.ipv4.ip_local_port_range',
    meaning: `a proxy on this machine can open up to ${count} connections to each port of the service`,
    advice: count < 25_000 && 'sysctl -w net.ipv4.ip_local_port_range="10240 65535"',
  };
}

/** @throws {ConfigError} for anything else than `--help` */
function isHelpWanted(): boolean {
  try {
    return parseArgs({ options: { help: { type: 'boolean' } } }).values.help === true;
  } catch (error) {
    throw new ConfigError([`${(error as Error).message}; the doctor takes no options but --help`]);
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}
