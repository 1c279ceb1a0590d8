import { spawnSync } from 'node:child_process';
import { expect } from 'vitest';
import { EXTRA_ROUTES } from './paths.ts';
import { Service, type ServiceOptions } from './processes.ts';

/** The service with its supervisor. */
export class Cluster extends Service {
  /** What has to stay in NODE_OPTIONS where a test changes them. */
  static readonly preload = `--import=${EXTRA_ROUTES}`;

  constructor(environment: NodeJS.ProcessEnv = {}, options: ServiceOptions = {}) {
    super('src/cluster/main.js', { WORKERS: '2', ...environment }, options);
  }

  /** The pids of the workers that became ready, in that order, also of those that are gone. */
  get workers(): number[] {
    return this.lines('worker ready').map(({ workerPid }) => Number(workerPid));
  }

  /** Waits until so many workers have become ready since the start, and the supervisor knows. @returns the address */
  async started(count = 2): Promise<string> {
    const url = await this.ready(count);
    await this.until(() => this.workers.length >= count);
    return url;
  }

  /** Waits until so many lines with this message are in the log. */
  async logged(msg: string, count = 1): Promise<void> {
    await this.until(() => this.lines(msg).length >= count);
  }
}

/** The pids of the processes that this one has started and that run. */
export function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  const pairs = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.filter(([, parent]) => parent === pid).map(([child]) => Number(child));
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until a process that is not our child is gone. */
export async function gone(pid: number): Promise<void> {
  await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
}

/** Asks so many times, each time on another connection: of any worker. */
export async function greet(url: string, times: number): Promise<void> {
  for (let time = 0; time < times; time++)
    await (await fetch(`${url}/greet`, { headers: { connection: 'close' } })).text();
}
