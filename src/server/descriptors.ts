import { readdirSync, readFileSync } from 'node:fs';
import type { Config } from '../config/settings.ts';
import { threadCount } from '../config/worker-count.ts';

/** For what is not a connection from a client: files, pipes, connections to databases and between processes. */
const RESERVED = 32;

/** So many of these may be from the other processes, and so many to them. */
export const SIBLINGS_MAX = 8;

/** Where operations have a port of their own: so many, or this part of all descriptors. */
const OPS_CONNECTIONS_MAX = 256;
const OPS_PART = 1 / 8;

/** The event loop of a thread has five; without them it cannot start. Threads for CPU work come with the first task. */
const RESERVED_PER_THREAD = 8;

/**
 * How many connections this process has descriptors for. Past that, the kernel refuses everything that needs one, logs and
 * databases included; nothing is known of it where there is no /proc.
 */
export function affordableConnections(config: Config): number {
  try {
    const reserved = RESERVED + RESERVED_PER_THREAD * threadCount(config) + opsConnections(config);
    return Math.max(1, openFilesMax() - readdirSync('/proc/self/fd').length - reserved);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** How many connections the port for operations may have, where there is one. */
export function opsConnections({ opsPort }: Config): number {
  if (opsPort === 'same') return 0;
  try {
    return Math.min(OPS_CONNECTIONS_MAX, Math.ceil(OPS_PART * openFilesMax()));
  } catch {
    return OPS_CONNECTIONS_MAX;
  }
}

function openFilesMax(): number {
  const [, openFiles] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return Number(openFiles ?? Number.POSITIVE_INFINITY);
}
