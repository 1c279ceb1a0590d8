import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/support/free-port.ts';
import { ROOT } from '../test/support/paths.ts';
import { SERVICE_ENVIRONMENT } from './leftovers.ts';
import { preciseCpuMs, processTree, threadCpuMs } from './process-tree.ts';

/** Between two attempts to connect. */
const PATIENCE_MS = 1;

export type FirstAnswer = {
  /** From its spawn on. */
  readonly ms: number;
  /** User and system time until then, of all its processes. */
  readonly cpuMs: number;
  /** Of these, of their main threads: what has to happen one after the other. */
  readonly mainThreadMs: number;
};

/** Starts a program with Node, asks for a greeting until it answers, and kills it. */
export async function firstAnswer(args: string[], environment: NodeJS.ProcessEnv): Promise<FirstAnswer> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...SERVICE_ENVIRONMENT, PORT: String(port), ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exit = once(child, 'exit');
  try {
    while (!(await greets(port))) {
      if (child.exitCode !== null) throw new Error(`${args.join(' ')} ended before it answered`);
      await sleep(PATIENCE_MS);
    }
    const ms = performance.now() - startedAt;
    const tree = processTree(child.pid ?? 0);
    const mainThreadMs = tree.reduce((sum, pid) => sum + threadCpuMs(pid, pid), 0);
    return { ms, cpuMs: preciseCpuMs(tree), mainThreadMs };
  } finally {
    for (const pid of processTree(child.pid ?? 0)) process.kill(pid, 'SIGKILL');
    await exit;
  }
}

/** Without an HTTP client, which would be one more thing that starts. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(port, '127.0.0.1');
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
      if (received.startsWith('HTTP/1.1 200') && received.endsWith('Hello John!!!')) socket.destroy();
    });
    socket.on('connect', () => socket.write('GET /hello/John HTTP/1.1\r\nHost: localhost\r\n\r\n'));
    socket.on('error', () => {});
    socket.on('close', () => resolve(received !== ''));
  });
}
