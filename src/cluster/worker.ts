import cluster from 'node:cluster';
import { promisify } from 'node:util';
import type { LastReload } from '../app/operations/health.ts';
import { readConfig } from '../config/read-config.ts';
import { type CannotStart, HEARTBEAT_MS, type Heartbeat, isReloadReport, RETIRE, STOP } from '../server/messages.ts';

/** A process that serves under the supervisor. */
export async function main(): Promise<void> {
  // Ctrl-C and Ctrl-\ reach every process of the terminal's group: the supervisor decides what becomes of them.
  process.on('SIGINT', () => {});
  process.on('SIGQUIT', () => {});
  const config = readConfig(process.env);
  const { serve } = await import('../server/serve.ts');
  let lastReload: LastReload | undefined;
  const end = await serve(config, {
    signals: ['SIGTERM'],
    isSocketShared: config.dispatch !== 'reuse-port',
    isPortReused: config.dispatch === 'reuse-port',
    worker: String(cluster.worker?.id),
    lastReload: () => lastReload,
  }).catch(async (error) => {
    if (error.code !== 'CANNOT_LISTEN') throw error;
    // The supervisor says it once, and not each of its workers several times.
    await promisify<CannotStart, void>((message, done) => process.send?.(message, done))({
      cannotStart: error.message,
    });
    process.exit(1);
  });
  process.on('message', (message) => {
    if (message === STOP) end.onStop('SIGTERM');
    if (message === RETIRE) end.onReplaced();
    if (isReloadReport(message)) ({ lastReload } = message);
  });
  setInterval(() => {
    const message: Heartbeat = { heartbeat: { rssBytes: process.memoryUsage.rss() } };
    if (process.connected) process.send?.(message);
  }, HEARTBEAT_MS).unref();
}
