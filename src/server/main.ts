import cluster from 'node:cluster';
import { obeyCommandLine } from './command-line.ts';

/** One process that serves: alone, or as an instance under PM2. */
export async function main(): Promise<void> {
  const config = await obeyCommandLine();
  if (config === undefined) return;
  // Not before: loading the app may be what a check is to find wanting.
  const { serve } = await import('./serve.ts');
  // PM2 numbers its instances, and runs them as workers of node:cluster.
  await serve(config, {
    worker: process.env.NODE_APP_INSTANCE ?? 'single',
    isSocketShared: cluster.isWorker,
  });
}
