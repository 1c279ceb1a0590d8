import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { freePort } from '../../../support/free-port.ts';

const VERSIONS = '/usr/lib/postgresql';

/** Where Debian has the programs of its newest version, or undefined where it is not installed. */
const BIN = existsSync(VERSIONS)
  ? readdirSync(VERSIONS)
      .sort((a, b) => Number(a) - Number(b))
      .map((version) => path.join(VERSIONS, version, 'bin'))
      .filter((folder) => existsSync(path.join(folder, 'initdb')))
      .at(-1)
  : undefined;

export const isPostgresInstalled = BIN !== undefined;

if (!isPostgresInstalled && process.env.CI) {
  throw new Error('There is no PostgreSQL: install it, on Debian with "apt-get install postgresql".');
}

/** A server of its own, in a folder of its own. Whoever started it has to end it. */
export class Postgres {
  readonly port: number;
  readonly #folder: string;
  #server: ChildProcess | undefined;
  #schemas = 0;

  static async start(): Promise<Postgres> {
    const postgres = new Postgres(mkdtempSync(path.join(tmpdir(), 'postgres-')), await freePort());
    await postgres.start();
    return postgres;
  }

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
    if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
    const options = ['--auth=trust', '--username=mainstay', '--encoding=UTF8', '--no-locale', '--no-sync'];
    execFileSync(`${BIN}/initdb`, [...options, `--pgdata=${folder}/data`], { ...user, cwd: folder, stdio: 'pipe' });
  }

  /** Of its first process, from which all others descend; 0 while it is stopped. */
  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  /** Where a schema is that nobody has used yet. */
  async newUrl(port = this.port): Promise<string> {
    const schema = `schema_${++this.#schemas}`;
    await this.query(`CREATE SCHEMA ${schema}`);
    return `postgres://mainstay@127.0.0.1:${port}/postgres?options=-csearch_path%3D${schema}`;
  }

  async query(text: string): Promise<unknown[]> {
    const client = new pg.Client({ host: '127.0.0.1', port: this.port, user: 'mainstay', database: 'postgres' });
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** After `stop` it goes on with what it had. */
  async start(): Promise<void> {
    const settings = { port: this.port, listen_addresses: '127.0.0.1', unix_socket_directories: '' };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const server = spawn(`${BIN}/postgres`, ['-D', `${this.#folder}/data`, ...options], {
      ...user,
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#server = server;
    let log = '';
    const ready = new Promise<void>((resolve, reject) => {
      server.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        if (log.includes('ready to accept connections')) resolve();
      });
      server.on('exit', () => reject(new Error(log)));
    });
    await ready;
  }

  /** @param signal SIGINT breaks all connections and shuts down; SIGQUIT is a crash */
  async stop(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  async end(): Promise<void> {
    await this.stop('SIGQUIT');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** PostgreSQL does not run as root: there it is the user that Debian's package makes for it. */
const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : { uid: undefined, gid: undefined };

function idOf(option: string): number {
  return isPostgresInstalled ? Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' })) : 0;
}
