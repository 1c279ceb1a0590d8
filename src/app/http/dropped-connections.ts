import type { Server } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import { Complaints } from '../complaints.ts';
import type { Metrics } from '../metrics/metrics.ts';

/** A line for each of thousands would make it worse. */
const INTERVAL_MS = 10_000;

/**
 * Says now and then that connections are closed at once, because the server has `maxConnections` already.
 *
 * @param metrics counts them, where they are the service's
 */
export function reportDrops(server: Server, log: FastifyBaseLogger, metrics?: Metrics): void {
  const complaints = new Complaints(log, INTERVAL_MS);
  server.on('drop', () => {
    metrics?.connectionDropped();
    complaints.say('too many connections: closing further ones at once', { maxConnections: server.maxConnections });
  });
}
