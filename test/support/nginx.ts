import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from './free-port.ts';
import { ROOT } from './paths.ts';

const SITE = path.join(ROOT, 'deploy/nginx/mainstay.conf');

/** Debian puts it where only root looks. */
const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/** nginx with the site file that the project ships, on other ports. Whoever started it has to stop it. */
export class Nginx {
  readonly url: string;
  readonly #folder: string;
  readonly #child: ChildProcess;

  /** @param instances the ports of the two instances */
  static async inFrontOf(instances: readonly [number, number]): Promise<Nginx> {
    if (spawnSync('nginx', ['-v'], { env: environment }).status !== 0) {
      throw new Error('There is no nginx: install it, on Debian with "apt-get install nginx-light".');
    }
    const port = await freePort();
    const nginx = new Nginx(port, instances);
    await nginx.#answers();
    return nginx;
  }

  private constructor(port: number, [first, second]: readonly [number, number]) {
    this.url = `http://127.0.0.1:${port}`;
    this.#folder = mkdtempSync(path.join(tmpdir(), 'nginx-'));
    // Its workers are another user where it is started by root.
    chmodSync(this.#folder, 0o755);
    const site = readFileSync(SITE, 'utf8')
      .replace('listen 80;', `listen 127.0.0.1:${port};`)
      .replace('127.0.0.1:3001', `127.0.0.1:${first}`)
      .replace('127.0.0.1:3002', `127.0.0.1:${second}`);
    writeFileSync(path.join(this.#folder, 'site.conf'), site);
    writeFileSync(
      path.join(this.#folder, 'nginx.conf'),
      `daemon off;
      pid nginx.pid;
      error_log error.log;
      events { worker_connections 8192; }
      http {
        access_log off;
        client_body_temp_path body;
        proxy_temp_path proxy;
        fastcgi_temp_path fastcgi;
        uwsgi_temp_path uwsgi;
        scgi_temp_path scgi;
        include site.conf;
      }`,
    );
    const options = ['-p', this.#folder, '-c', 'nginx.conf', '-e', 'error.log'];
    this.#child = spawn('nginx', options, { env: environment, stdio: ['ignore', 'ignore', 'inherit'] });
  }

  /** What it complained of. */
  get errors(): string {
    return readFileSync(path.join(this.#folder, 'error.log'), 'utf8');
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #answers(): Promise<void> {
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`nginx ended with ${this.#child.exitCode}: ${this.errors}`);
      const isUp = await fetch(`${this.url}/livez`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (isUp) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
