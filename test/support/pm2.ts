import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { apps } from '../../ecosystem.config.js';
import type { LogLine } from './log.ts';
import { ROOT } from './paths.ts';

/** What PM2 calls the service. */
export const SERVICE = apps[0]?.name ?? '';

const PM2 = path.join(ROOT, 'node_modules/pm2/bin/pm2');

export type Outcome = { code: number; output: string };
export type Instance = { pid: number; pm2_env: { status: string; restart_time: number; exit_code?: number } };

/** A PM2 of its own, with its own daemon and folder. Whoever made it has to kill it. */
export class Pm2 {
  readonly #home = mkdtempSync(path.join(tmpdir(), 'pm2-'));
  readonly #environment: NodeJS.ProcessEnv;

  /** @param environment of all that it runs */
  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = {
      PATH: process.env.PATH,
      PM2_HOME: this.#home,
      DATABASE_URL: 'file::memory:',
      ...environment,
    };
  }

  run(args: string[], node = process.execPath, environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    return new Promise((resolve) => {
      const options = { cwd: ROOT, env: { ...this.#environment, ...environment } };
      execFile(node, [PM2, ...args], options, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
      });
    });
  }

  async instances(): Promise<Instance[]> {
    const { output } = await this.run(['jlist']);
    return JSON.parse(output.slice(output.lastIndexOf('\n[') + 1));
  }

  /** What it kept of the service's log. */
  get log(): LogLine[] {
    const text = readFileSync(path.join(this.#home, `logs/${SERVICE}-out.log`), 'utf8').trim();
    return text.split('\n').map((line) => JSON.parse(line));
  }

  get daemonPid(): number {
    return Number(readFileSync(path.join(this.#home, 'pm2.pid'), 'utf8'));
  }

  /** Ends everything that it runs, and itself. */
  async kill(): Promise<void> {
    await this.run(['kill'], process.execPath, { PORT: '0' });
    rmSync(this.#home, { recursive: true, force: true });
  }
}
