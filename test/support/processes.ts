import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import type { LogLine } from './log.ts';
import { EXTRA_ROUTES, ROOT } from './paths.ts';

export type ServiceOptions = {
  readonly args?: string[];
  /** Where the project is, if it is a copy. */
  readonly root?: string;
  /** How many descriptors it may have. */
  readonly openFiles?: number;
  /** How large its files may become, in blocks of 512 or 1024 bytes: the shell's. */
  readonly fileBlocks?: number;
  /** A folder in which it has a disk of 2 MB that nobody else sees: look for it under `/proc/<pid>/root`. */
  readonly disk?: string;
  /** Where the log goes, if not to `log`: a file descriptor. */
  readonly stdout?: number | 'pipe';
};

/** A real process of the project, whose log is read line by line. It is killed when its test ends. */
export class Service {
  readonly child: ChildProcess;
  readonly log: LogLine[] = [];
  /** Everything that was written, as it was. */
  output = '';
  #waiting = new Set<() => void>();
  #rest = '';
  #ended = false;

  /** @param entry the program, from the project's root */
  constructor(
    entry: string,
    environment: NodeJS.ProcessEnv = {},
    { args = [], root = ROOT, stdout = 'pipe', openFiles, fileBlocks, disk }: ServiceOptions = {},
  ) {
    const command = [process.execPath, entry, ...args];
    if (fileBlocks !== undefined) command.unshift('sh', '-c', `ulimit -f ${fileBlocks}; exec "$0" "$@"`);
    if (openFiles !== undefined) command.unshift('sh', '-c', `ulimit -n ${openFiles}; exec "$0" "$@"`);
    if (disk !== undefined) command.unshift(...withDisk(disk));
    const [program = '', ...rest] = command;
    this.child = spawn(program, rest, {
      cwd: root,
      env: {
        PATH: process.env.PATH,
        PORT: '0',
        HOST: '127.0.0.1',
        DATABASE_URL: 'file::memory:',
        NODE_OPTIONS: `--import=${EXTRA_ROUTES}`,
        ...environment,
      },
      stdio: ['ignore', stdout, 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.child.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
    onTestFinished(async () => {
      if (this.#ended) return;
      this.child.kill('SIGKILL');
      await once(this.child, 'close');
    });
  }

  get pid(): number {
    const { pid } = this.child;
    if (pid === undefined) throw new Error('the process did not start');
    return pid;
  }

  /** The lines with this message. */
  lines(msg: string): LogLine[] {
    return this.log.filter((line) => line.msg === msg);
  }

  /** Waits until `find` finds something in the log. */
  async until<Found>(find: (service: this) => Found | undefined | false): Promise<Found> {
    for (;;) {
      const found = find(this);
      if (found !== undefined && found !== false) return found;
      if (this.#ended) throw new Error(`the process ended first; it wrote:\n${this.output}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Waits until so many processes serve. @returns the address of the service */
  async ready(processes = 1): Promise<string> {
    const [line] = await this.until(() => {
      const lines = this.lines('ready');
      return lines.length >= processes && lines;
    });
    return `http://127.0.0.1:${line?.port}`;
  }

  /** Waits for the end. @returns the exit code, or the signal's name */
  async ended(): Promise<number | string> {
    if (!this.#ended) await once(this.child, 'close');
    return this.child.exitCode ?? this.child.signalCode ?? 'unknown';
  }

  #read(text: string): void {
    this.output += text;
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      try {
        this.log.push(JSON.parse(line));
      } catch {
        // Not of the service: Node's own warnings, say.
      }
    }
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const resolve of waiting) resolve();
  }
}

/** A Node that is too old for the service, where the machine has one on its path. */
export const OLD_NODE = (process.env.PATH ?? '')
  .split(path.delimiter)
  .map((folder) => path.join(folder, 'node'))
  .find((file) => {
    if (!existsSync(file)) return false;
    const major = Number.parseInt(spawnSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout, 10);
    return major >= 14 && major < 24;
  });

/** Whether this user may mount one: not in every container, and only on Linux. */
export function mayHaveDisk(folder: string): boolean {
  const [program = '', ...args] = withDisk(folder);
  return spawnSync(program, [...args, 'true']).status === 0;
}

/** In a namespace of its own, which every user may have, and which takes the disk along when its process ends. */
function withDisk(folder: string): string[] {
  const mount = `mount -t tmpfs -o size=2m none '${folder}' && exec "$0" "$@"`;
  return ['unshare', '--map-root-user', '--mount', 'sh', '-c', mount];
}
