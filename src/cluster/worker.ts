import cluster from 'node:cluster';
import type { SupervisorState } from '../app/operations/supervisor-state.ts';
import { readConfig } from '../config/read-config.ts';
import {
  HEARTBEAT_MS,
  isLogLevelWish,
  isSupervisorReport,
  RETIRE,
  SHARED_SOCKET_FDS,
  STOP,
  tellParent,
} from '../server/messages.ts';
import { outliveParent } from './orphan.js';

/** A process that serves under the supervisor. */
export async function main(): Promise<void> {
  // Ctrl-C and Ctrl-\ reach every process of the terminal's group: the supervisor decides what becomes of them.
  process.on('SIGINT', () => {});
  process.on('SIGQUIT', () => {});
  const config = readConfig(process.env);
  const { serve } = await import('../server/serve.ts');
  let supervisor: SupervisorState | undefined;
  const { end, logLevel } = await serve(config, {
    signals: ['SIGTERM'],
    isSocketShared: config.dispatch !== 'reuse-port',
    listenAt: {
      isPortReused: config.dispatch === 'reuse-port',
      // Under node:cluster, asking for the port gets the socket.
      ...(config.dispatch === 'shared' && !cluster.isWorker && { fds: SHARED_SOCKET_FDS }),
    },
    worker: process.argv[2] ?? '',
    supervisor: () => supervisor,
    hasSiblings: true,
  });
  process.on('disconnect', () => end.onParentLost());
  outliveParent();
  process.on('message', (message) => {
    if (message === STOP) end.onStop('SIGTERM');
    if (message === RETIRE) end.onReplaced();
    if (isSupervisorReport(message)) ({ supervisor } = message);
    if (isLogLevelWish(message)) logLevel.set(message.isDebug);
  });
  const beat = () => tellParent({ heartbeat: { rssBytes: process.memoryUsage.rss() } });
  // The first at once: it says how much memory a worker has that has not served anybody.
  beat();
  setInterval(beat, HEARTBEAT_MS).unref();
}
