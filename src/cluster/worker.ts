import cluster from 'node:cluster';
import { readConfig } from '../config/read-config.ts';

/** A process that serves under the supervisor. */
export async function main(): Promise<void> {
  // Ctrl-C reaches every process of the terminal's group: the supervisor decides what becomes of it.
  process.on('SIGINT', () => {});
  const config = readConfig(process.env);
  const { serve } = await import('../server/serve.ts');
  const end = await serve(config, { signals: ['SIGTERM'], worker: String(cluster.worker?.id) });
  // The supervisor is gone, however it went. Nobody would replace or stop this worker any more.
  process.on('disconnect', () => end('supervisor lost'));
}
