import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { readConfig } from '../config/read-config.ts';
import type { Config } from '../config/settings.ts';
import { workerCount } from '../config/worker-count.ts';
import { affordableConnections } from './descriptors.ts';
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

/** `npm run doctor`: prints a line for each finding. It changes nothing and starts nothing. */
export function main(): void {
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
    cores(workers, readFile('/sys/fs/cgroup/cpu.max')),
    memory(workers),
    descriptors(config, workers),
    backlog(readFile('/proc/sys/net/core/somaxconn')),
    ports(readFile('/proc/sys/net/ipv4/ip_local_port_range')),
  ].flat();
}

function node(): Finding {
  return { what: 'Node.js', meaning: `${process.versions.node}, of ${process.execPath}` };
}

function cores(workers: number, quota: string | undefined): Finding {
  const usable = availableParallelism();
  const [limit, period] = quota?.split(' ').map(Number) ?? [];
  const isLimited = limit !== undefined && period !== undefined && Number.isFinite(limit);
  return {
    what: 'cores',
    meaning: `${usable} of ${cpus().length} are for this process${isLimited ? ` (cgroup: ${limit / period} cores)` : ''}, and WORKERS makes ${workers}`,
    advice:
      workers > usable &&
      'more workers than cores serve no more requests, but hold more connections; WORKERS=auto makes one a core',
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
    meaning: `${allowedMb} MB ${isLimited ? 'by cgroup' : 'in the machine'}; ${workers} heaps may grow to ${heapMb} MB each`,
    advice:
      mayNeedMb > allowedMb &&
      (isShared
        ? 'the kernel may kill a worker before its heap is full: lower the percentage, or WORKERS'
        : `the kernel may kill a worker before its heap is full, unless the service is started with node ${HEAP_PERCENTAGE}60, which the supervisor shares among the workers, as the Dockerfile does`),
  };
}

export function descriptors(config: Config, workers: number, affordable = affordableConnections(config)): Finding | [] {
  const { maxConnections } = config;
  // Where there is no /proc, nothing is known of it.
  if (!Number.isFinite(affordable)) return [];
  const held = Math.min(affordable, maxConnections);
  return {
    what: 'descriptors',
    meaning: `a process can hold ${affordable} connections and holds ${held} (MAX_CONNECTIONS), all workers ${workers * held}; further ones are closed at once`,
    advice:
      affordable < maxConnections &&
      `raise the limit of open files: ulimit -n ${maxConnections + 1000}, LimitNOFILE= in systemd, --ulimit nofile= of docker`,
  };
}

function backlog(somaxconn: string | undefined): Finding | [] {
  if (somaxconn === undefined) return [];
  const most = Number(somaxconn);
  return {
    what: 'net.core.somaxconn',
    meaning: `${Math.min(most, BACKLOG)} connections may wait to be accepted; a crowd that does not fit tries again after a second`,
    advice: most < BACKLOG && `sysctl -w net.core.somaxconn=${BACKLOG}`,
  };
}

function ports(range: string | undefined): Finding | [] {
  if (range === undefined) return [];
  const [first = 0, last = 0] = range.trim().split(/\s+/).map(Number);
  const count = last - first + 1;
  return {
    what: 'net.ipv4.ip_local_port_range',
    meaning: `a proxy on this machine can have ${count} connections to one address and port of the service`,
    advice: count < 25_000 && 'sysctl -w net.ipv4.ip_local_port_range="10240 65535"',
  };
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}
