import cluster from 'node:cluster';
import { readConfig } from '../config/read-config.ts';
import { STOP } from '../server/messages.ts';

/** A process that serves under the supervisor. */
export async function main(): Promise<void> {
  // Ctrl-C reaches every process of the terminal's group: the supervisor decides what becomes of it.
  process.on('SIGINT', () => {});
  const config = readConfig(process.env);
  const { serve } = await import('../server/serve.ts');
  const worker = cluster.worker;
  const end = await serve(config, { signals: ['SIGTERM'], isSocketShared: true, worker: String(worker?.id) });
  process.on('message', (message) => {
    if (message === STOP) end('SIGTERM', true);
  });
  // The supervisor is gone, however it went: nobody would replace or stop this worker any more.
  worker?.on('disconnect', () => {
    // Else node:cluster exits right after this, whatever is in flight.
    worker.exitedAfterDisconnect = true;
    end('supervisor lost', true);
  });
}
