import { workerCount } from '../config/worker-count.ts';
import { obeyCommandLine } from '../server/command-line.ts';

/** The service as `npm start` runs it: a supervisor and its workers, or a single process where one is enough. */
export async function main(): Promise<void> {
  const config = await obeyCommandLine();
  if (config === undefined) return;
  if (workerCount(config) === 1) {
    const { serve } = await import('../server/serve.ts');
    await serve(config);
  } else {
    // The supervisor loads nothing of the app, and stays small.
    const { Supervisor } = await import('./supervisor.ts');
    await Supervisor.run(config);
  }
}
