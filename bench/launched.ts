import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/support/free-port.ts';
import { ROOT } from '../test/support/paths.ts';
import { SERVICE_ENVIRONMENT } from './leftovers.ts';

/** A program of the comparison that runs, and answers on `url`. */
export class Launched {
  readonly url: string;
  /** What it has written to standard output, where that is to be kept. */
  output = '';
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
  }

  /**
   * Starts `args` with Node and waits until it answers on the port that it is given in PORT.
   *
   * @param folder to start it in, from the project's root
   */
  static async start(
    args: string[],
    environment: NodeJS.ProcessEnv = {},
    { port, folder = '.', keepsOutput = false }: { port?: number; folder?: string; keepsOutput?: boolean } = {},
  ): Promise<Launched> {
    const at = port ?? (await freePort());
    const child = spawn(process.execPath, args, {
      cwd: `${ROOT}/${folder}`,
      env: {
        ...SERVICE_ENVIRONMENT,
        PORT: String(at),
        REQUEST_LOG: 'false',
        DATABASE_URL: 'file::memory:',
        ...environment,
      },
      stdio: ['ignore', keepsOutput ? 'pipe' : 'ignore', 'inherit'],
    });
    const launched = new Launched(child, `http://127.0.0.1:${at}`);
    await answers(launched.url, () => child.exitCode === null);
    return launched;
  }

  /** Runs `args` with Node to its end. */
  static async run(args: string[], folder: string): Promise<void> {
    const child = spawn(process.execPath, args, { cwd: `${ROOT}/${folder}`, stdio: ['ignore', 'ignore', 'inherit'] });
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}`);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    await ended;
  }

  /** Also where a measurement fails: `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Waits until somebody greets there. */
export async function answers(url: string, isRunning = () => true): Promise<void> {
  for (const until = performance.now() + 20_000; performance.now() < until; await sleep(20)) {
    if (!isRunning()) throw new Error('it ended before it answered');
    for (const path of ['/hello/John', '/greet/John']) {
      const text = await fetch(url + path, { headers: { connection: 'close' } }).then(
        (response) => response.text(),
        () => undefined,
      );
      if (text === 'Hello John!!!') return;
    }
  }
  throw new Error(`nobody answers on ${url}`);
}
