import { availableParallelism } from 'node:os';
import type { Config } from './settings.ts';

/** `auto`: as many as this process has cores, by affinity and cgroup quota, not as many as the machine has. */
export function workerCount({ workers }: Config): number {
  return workers === 'auto' ? availableParallelism() : workers;
}
