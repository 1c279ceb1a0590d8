import type { Server } from 'node:net';

/**
 * Changes how many connections may wait to be accepted, by listening again on the same socket. Node has no public way to do
 * it; without it, nothing happens.
 */
export function setBacklog(
  server: Server & { _handle?: { listen?: (backlog: number) => number } | null },
  most: number,
) {
  server._handle?.listen?.(most);
}
