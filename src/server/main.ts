import { obeyCommandLine } from './command-line.ts';
import { serve } from './serve.ts';

/** One process that serves: alone, or as an instance under PM2. */
export async function main(): Promise<void> {
  const config = await obeyCommandLine();
  if (config) await serve(config, { worker: process.env.NODE_APP_INSTANCE ?? 'single' });
}
