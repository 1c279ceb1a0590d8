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
    return Math.max(1, openFilesLimits().soft - readdirSync('/proc/self/fd').length - reserved);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** How many connections the port for operations may have, where there is one. */
export function opsConnections({ opsPort }: Config): number {
  if (opsPort === 'same') return 0;
  return Math.min(OPS_CONNECTIONS_MAX, Math.ceil(OPS_PART * openFilesLimits().soft));
}

/** How many files this process may have open, and as far as it may raise that itself; Infinity where nothing limits it, or there is no /proc. */
export function openFilesLimits(): { readonly soft: number; readonly hard: number } {
  const [soft = Number.POSITIVE_INFINITY, hard = soft] = readLimits().map((text) =>
    text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text),
  );
  return { soft, hard };
}

function readLimits(): string[] {
  try {
    return /^Max open files +(\S+) +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.slice(1) ?? [];
  } catch {
    return [];
  }
}
