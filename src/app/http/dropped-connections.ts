import type { Server } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import { Complaints } from '../complaints.ts';
import type { Metrics } from '../metrics/metrics.ts';

/** A line for each of thousands would make it worse. */
const INTERVAL_MS = 10_000;

/** Counts the connections that were closed at once because the server has `maxConnections` already, and says so now and then. */
export function reportDrops(server: Server, log: FastifyBaseLogger, metrics: Metrics): void {
  const complaints = new Complaints(log, INTERVAL_MS);
  server.on('drop', () => {
    metrics.connectionDropped();
    complaints.say('too many connections: closing further ones at once', { maxConnections: server.maxConnections });
  });
}
