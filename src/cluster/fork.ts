import { type ChildProcess, fork } from 'node:child_process';
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/settings.ts';
import { workerCount } from '../config/worker-count.ts';
import { SHARED_SOCKET_FDS } from '../server/messages.ts';
import type { SharedSocket } from './shared-socket.ts';

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url));

/**
 * Starts a worker, connected to its socket as DISPATCH wants it. Only for `round-robin`, and where Node is too old to hold a
 * socket without accepting from it, this is node:cluster's task.
 *
 * @param environment what it is to find in its environment beside what is in this process's
 * @param sockets those that it is to share with the others, where they share any
 */
export function forkWorker(
  id: number,
  config: Config,
  environment: NodeJS.ProcessEnv,
  sockets: readonly SharedSocket[],
): ChildProcess {
  const args = [String(id)];
  const execArgv = process.execArgv
    // The supervisor has taken that port.
    .filter((argument) => !argument.startsWith('--inspect'))
    .map((argument) => shareOf(argument, workerCount(config)));
  const env = { ...process.env, ...environment };
  if (sockets.length > 0) {
    const stdio: (number | 'inherit' | 'ipc')[] = ['inherit', 'inherit', 'inherit', 'ipc'];
    stdio.splice(SHARED_SOCKET_FDS[0], 0, ...sockets.map(({ fd }) => fd));
    return fork(WORKER, args, { execArgv, env, stdio });
  }
  if (config.dispatch === 'reuse-port') return fork(WORKER, args, { execArgv, env });
  cluster.schedulingPolicy = config.dispatch === 'round-robin' ? cluster.SCHED_RR : cluster.SCHED_NONE;
  cluster.setupPrimary({ exec: WORKER, args, execArgv });
  return cluster.fork(env).process;
}

/** What is for all workers together, for one: `--max-old-space-size-percentage=60` is 30 for each of two. */
function shareOf(argument: string, workers: number): string {
  return argument.replace(
    /^(--max-old-space-size-percentage=)([\d.]+)$/,
    (_whole, option: string, percentage: string) => option + Number(percentage) / workers,
  );
}
