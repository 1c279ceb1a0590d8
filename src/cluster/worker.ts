import cluster from 'node:cluster';
import type { LastReload } from '../app/operations/health.ts';
import { readConfig } from '../config/read-config.ts';
import { HEARTBEAT_MS, isReloadReport, RETIRE, SHARED_SOCKET_FD, STOP, tellParent } from '../server/messages.ts';
import { outliveParent } from './orphan.js';

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
    listenAt: {
      isPortReused: config.dispatch === 'reuse-port',
      // Under node:cluster, asking for the port gets the socket.
      ...(config.dispatch === 'shared' && !cluster.isWorker && { fd: SHARED_SOCKET_FD }),
    },
    worker: process.argv[2] ?? '',
    lastReload: () => lastReload,
  });
  process.on('disconnect', () => end.onParentLost());
  outliveParent();
  process.on('message', (message) => {
    if (message === STOP) end.onStop('SIGTERM');
    if (message === RETIRE) end.onReplaced();
    if (isReloadReport(message)) ({ lastReload } = message);
  });
  setInterval(() => tellParent({ heartbeat: { rssBytes: process.memoryUsage.rss() } }), HEARTBEAT_MS).unref();
}
