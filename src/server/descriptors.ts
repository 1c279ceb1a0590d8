import { readdirSync, readFileSync } from 'node:fs';
import type { Config } from '../config/settings.ts';
import { threadCount } from '../config/worker-count.ts';

/** For what is not a connection from a client: files, pipes, connections to databases. */
const RESERVED = 32;

/** The event loop of a thread has five; without them it cannot start. Threads for CPU work come with the first task. */
const RESERVED_PER_THREAD = 8;

/**
 * How many connections this process has descriptors for. Past that, the kernel refuses everything that needs one, logs and
 * databases included; nothing is known of it where there is no /proc.
 */
export function affordableConnections(config: Config): number {
  try {
    const [, openFiles] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    if (openFiles === undefined) return Number.POSITIVE_INFINITY;
    const reserved = RESERVED + RESERVED_PER_THREAD * threadCount(config);
    return Math.max(1, Number(openFiles) - readdirSync('/proc/self/fd').length - reserved);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
