import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const LEFT = '.left';

/**
 * Where the processes that serve together leave what the others are to find: the workers of one supervisor, or PM2's instances of one
 * service. It is theirs alone, and open to their user alone. The name of each file begins with the pid of the process whose it is.
 */
export class SiblingsFolder {
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
    const base = path.join(tmpdir(), `mainstay-${user}`);
    makeFolder(base);
    const { uid, mode } = lstatSync(base);
    if (uid !== user || (mode & 0o077) !== 0) throw new Error(`${base} is not, or not only, this user's: remove it`);
    this.#path = path.join(base, `${parentPid}-${hash(service)}`);
    makeFolder(this.#path);
    for (const other of readdirSync(base)) if (!isRunning(pidOf(other))) removeLeft(path.join(base, other));
  }

  file(name: string): string {
    return path.join(this.#path, name);
  }

  /** The names of the files that have this in them. */
  list(part: string): string[] {
    return namesIn(this.#path).filter((name) => name.includes(part));
  }

  /** This process ends, and leaves a file behind, marked as what it is. All of it goes with the last process. */
  leave(name: string): void {
    try {
      renameSync(this.file(name), this.file(name + LEFT));
    } catch {
      // It could not be made.
    }
    // Several may end at once, each of which runs yet: the marks tell.
    const isLast = !this.list('').some(
      (other) => !hasLeft(other) && pidOf(other) !== process.pid && isRunning(pidOf(other)),
    );
    if (isLast) removeLeft(this.#path);
  }
}

/** Whether the process has left it behind, and ends. */
export function hasLeft(name: string): boolean {
  return name.endsWith(LEFT);
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
    if (hasLeft(name) || !isRunning(pidOf(name))) unlink(path.join(folder, name));
  }
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

/** Containers may share the folder for temporary files, and their processes have the same pids. */
function hash(service: string): string {
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Only Linux has them.
  }
  const code = fileURLToPath(new URL('../..', import.meta.url));
  return createHash('sha256').update(`${namespace} ${code} ${service}`).digest('hex').slice(0, 16);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
