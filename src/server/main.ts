import cluster from 'node:cluster';
import { obeyCommandLine } from './command-line.ts';

/** One process that serves: alone, or as an instance under PM2. */
export async function main(): Promise<void> {
  const config = await obeyCommandLine();
  if (config === undefined) return;
  // Not before: loading the app may be what a check is to find wanting.
  const { serve } = await import('./serve.ts');
  // PM2 runs its instances as workers of node:cluster. It numbers them, and the old one of a reload has the number of the new.
  const { NODE_APP_INSTANCE: instance } = process.env;
  await serve(config, {
    worker: instance === undefined ? 'single' : `${instance}-${process.pid}`,
    isSocketShared: cluster.isWorker,
    hasSiblings: cluster.isWorker,
  });
}
