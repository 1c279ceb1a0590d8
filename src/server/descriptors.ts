import { readdirSync, readFileSync } from 'node:fs';

/** For what is not a connection from a client: files, pipes, connections to databases. */
const RESERVED = 32;

/**
 * How many connections this process has descriptors for. Past that, the kernel refuses everything that needs one, logs and
 * databases included; nothing is known of it where there is no /proc.
 */
export function affordableConnections(): number {
  try {
    const [, openFiles] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    if (openFiles === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(1, Number(openFiles) - readdirSync('/proc/self/fd').length - RESERVED);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
