import { type ChildProcess, fork } from 'node:child_process';
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/settings.ts';
import { workerCount } from '../config/worker-count.ts';
import { SHARED_SOCKET_FD } from '../server/messages.ts';
import type { SharedSocket } from './shared-socket.ts';

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url));

/**
 * Starts a worker, connected to its socket as DISPATCH wants it. Only for `round-robin`, and where Node is too old to hold a
 * socket without accepting from it, this is node:cluster's task.
 *
 * @param port where it listens, if not on `socket`
 */
export function forkWorker(id: number, config: Config, port: number, socket: SharedSocket | undefined): ChildProcess {
  const args = [String(id)];
  const execArgv = process.execArgv
    // The supervisor has taken that port.
    .filter((argument) => !argument.startsWith('--inspect'))
    .map((argument) => shareOf(argument, workerCount(config)));
  const env = { ...process.env, PORT: String(port) };
  if (socket !== undefined) {
    const stdio: (number | 'inherit' | 'ipc')[] = ['inherit', 'inherit', 'inherit', 'ipc'];
    stdio.splice(SHARED_SOCKET_FD, 0, socket.fd);
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
