import cluster from 'node:cluster';
import type { LastReload } from '../app/operations/health.ts';
import { readConfig } from '../config/read-config.ts';
import { HEARTBEAT_MS, type Heartbeat, isReloadReport, RETIRE, STOP } from '../server/messages.ts';

/** A process that serves under the supervisor. */
export async function main(): Promise<void> {
  // Ctrl-C reaches every process of the terminal's group: the supervisor decides what becomes of it.
  process.on('SIGINT', () => {});
  const config = readConfig(process.env);
  const { serve } = await import('../server/serve.ts');
  const worker = cluster.worker;
  let lastReload: LastReload | undefined;
  const end = await serve(config, {
    signals: ['SIGTERM'],
    isSocketShared: config.dispatch !== 'reuse-port',
    isPortReused: config.dispatch === 'reuse-port',
    worker: String(worker?.id),
    lastReload: () => lastReload,
  });
  process.on('message', (message) => {
    if (message === STOP) end.onSignal('SIGTERM', true);
    if (message === RETIRE) end.onReplaced();
    if (isReloadReport(message)) ({ lastReload } = message);
  });
  // The supervisor is gone, however it went: nobody would replace or stop this worker any more.
  worker?.on('disconnect', () => {
    // Else node:cluster exits right after this, whatever is in flight.
    worker.exitedAfterDisconnect = true;
    end.onSignal('supervisor lost', true);
  });
  setInterval(() => {
    const message: Heartbeat = { heartbeat: { rssBytes: process.memoryUsage.rss() } };
    if (process.connected) process.send?.(message);
  }, HEARTBEAT_MS).unref();
}
