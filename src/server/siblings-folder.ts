import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** In the names of files that are left behind; the exit code follows. */
const LEFT = '.left-';

const CODE = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Where the processes that serve together leave what the others are to find: the workers of one supervisor, or PM2's instances of one
 * service. It is theirs alone, and open to their user alone. The name of each file begins with the pid of the process whose it is.
 */
export class SiblingsFolder {
  /** Of all services whose pids mean the same. */
  readonly #namespace: string;
  readonly #path: string;

  /**
   * Made where it is not there; what is left of services that are gone is removed.
   *
   * @param parentPid of the process that has started all of them
   * @param service tells apart those that have the same parent
   * @throws {Error} where there is no place for it
   */
  constructor(parentPid: number, service: string) {
    const user = process.getuid?.() ?? 0;
    const users = path.join(tmpdir(), `mainstay-${user}`);
    makeFolder(users);
    const { uid, mode } = lstatSync(users);
    if (uid !== user || (mode & 0o077) !== 0) {
      throw new Error(
        `${users} is not, or not only, this user's: remove it; where that is not allowed, set TMPDIR, for all processes, to a folder that is`,
      );
    }
    // Containers may share the folder for temporary files, and pids mean something else in each of them.
    this.#namespace = path.join(users, hash(pidNamespace()));
    this.#path = path.join(this.#namespace, `${parentPid}-${hash(`${CODE} ${service}`)}`);
    this.make();
    for (const other of namesIn(this.#namespace)) {
      if (!isRunning(pidOf(other))) removeLeft(path.join(this.#namespace, other));
    }
  }

  /** The last process before this one may just have removed it. */
  make(): void {
    makeFolder(this.#namespace);
    makeFolder(this.#path);
  }

  file(name: string): string {
    return path.join(this.#path, name);
  }

  /** The names of the files that have this in them. */
  list(part: string): string[] {
    return namesIn(this.#path).filter((name) => name.includes(part));
  }

  /** This process ends, and leaves a file behind, marked with its exit code. All of it goes with the last process. */
  leave(name: string, code: number): void {
    try {
      renameSync(this.file(name), this.file(`${name}${LEFT}${code}`));
    } catch {
      // It could not be made.
    }
    // Several may end at once, each of which runs yet: the marks tell.
    const isLast = !this.list('').some(
      (other) => exitCodeOf(other) === undefined && pidOf(other) !== process.pid && isRunning(pidOf(other)),
    );
    if (!isLast) return;
    removeLeft(this.#path);
    removeEmpty(this.#namespace);
  }
}

/** @returns the exit code of a process that has left the file behind, and undefined of one that runs or was killed */
export function exitCodeOf(name: string): number | undefined {
  const [, code] = name.split(LEFT);
  return code === undefined ? undefined : Number(code);
}

/** The process that a file, or a folder, is named after. */
export function pidOf(name: string): number {
  return Number.parseInt(name, 10);
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export function unlink(file: string): void {
  try {
    unlinkSync(file);
  } catch {
    // It is not there, which is what is wanted.
  }
}

/** But for what is somebody's who still runs: workers that lost their parent drain. */
function removeLeft(folder: string): void {
  for (const name of namesIn(folder)) {
    if (exitCodeOf(name) !== undefined || !isRunning(pidOf(name))) unlink(path.join(folder, name));
  }
  removeEmpty(folder);
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It is not empty, or another process has removed it.
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Only Linux has them. */
function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
