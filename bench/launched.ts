import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/support/free-port.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A program of the comparison that runs, and answers on `url`. */
export class Launched {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts `args` with Node and waits until it answers on the port that it is given in PORT. */
  static async start(args: string[], environment: NodeJS.ProcessEnv = {}): Promise<Launched> {
    const port = await freePort();
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: String(port), REQUEST_LOG: 'false', ...environment },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const launched = new Launched(child, port);
    await launched.answers();
    return launched;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async answers(): Promise<void> {
    for (const until = performance.now() + 20_000; performance.now() < until; await sleep(50)) {
      if (this.#child.exitCode !== null) throw new Error(`it ended with ${this.#child.exitCode}`);
      try {
        const response = await fetch(`${this.url}/hello/John`, { headers: { connection: 'close' } });
        if ((await response.text()) === 'Hello John!!!') return;
      } catch {
        // Not yet.
      }
    }
    throw new Error(`nothing answers on ${this.url}`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }
}
