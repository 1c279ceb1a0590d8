import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../test/support/free-port.ts';

const PROGRAM = 'redis-server';

/** Of the server that is installed, `7.0` for one, or undefined where there is none. */
export const redisVersion = /v=(\d+\.\d+)/.exec(
  spawnSync(PROGRAM, ['--version'], { encoding: 'utf8' }).stdout ?? '',
)?.[1];

/** When what was appended to the file is synced: before it is answered, or each second. */
export type AppendSync = 'always' | 'everysec';

/** A server of its own, in a folder of its own. Whoever started it has to stop it. */
export class Redis {
  readonly url: string;
  readonly #folder: string;
  readonly #child: ChildProcess;

  static async start(appendSync: AppendSync): Promise<Redis> {
    const redis = new Redis(await freePort(), appendSync);
    await redis.#ready();
    return redis;
  }

  private constructor(port: number, appendSync: AppendSync) {
    this.url = `redis://127.0.0.1:${port}`;
    this.#folder = mkdtempSync(path.join(tmpdir(), 'redis-'));
    const settings = {
      port,
      bind: '127.0.0.1',
      dir: this.#folder,
      appendonly: 'yes',
      appendfsync: appendSync,
      // No snapshots beside the file that is appended to: they would keep nothing more, and cost.
      save: '',
    };
    const options = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.#child = spawn(PROGRAM, options, { cwd: this.#folder, stdio: ['ignore', 'pipe', 'inherit'] });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #ready(): Promise<void> {
    let log = '';
    await new Promise<void>((resolve, reject) => {
      this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        if (log.includes('Ready to accept connections')) resolve();
      });
      this.#child.on('exit', () => reject(new Error(log)));
    });
  }
}
