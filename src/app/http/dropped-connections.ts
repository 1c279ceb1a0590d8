import type { Server } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import type { Metrics } from '../metrics/metrics.ts';

/** A line for each of thousands would make it worse. */
const INTERVAL_MS = 10_000;

/** Counts the connections that were closed at once because the server has `maxConnections` already, and says so now and then. */
export function reportDrops(server: Server, log: FastifyBaseLogger, metrics: Metrics): void {
  let dropped = 0;
  let saidAt = Number.NEGATIVE_INFINITY;
  server.on('drop', () => {
    metrics.connectionDropped();
    dropped++;
    if (performance.now() - saidAt < INTERVAL_MS) return;
    log.warn({ dropped, maxConnections: server.maxConnections }, 'too many connections: closing further ones at once');
    dropped = 0;
    saidAt = performance.now();
  });
}
