import { availableParallelism } from 'node:os';
import type { Config } from './settings.ts';

/** `auto`: as many as this process has cores, by affinity and cgroup quota, not as many as the machine has. */
export function workerCount({ workers }: Config): number {
  return workers === 'auto' ? availableParallelism() : workers;
}

/** Threads for CPU work that a process may have, so that all processes together have about one a core. */
export function threadCount(config: Config): number {
  return Math.max(1, Math.floor(availableParallelism() / workerCount(config)));
}
