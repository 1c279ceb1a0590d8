import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Recorded } from '../app/operations/status/overview.ts';
import { Recording, SECONDS_KEPT } from '../app/operations/status/recording.ts';
import { exitCodeOf, isRunning, pidOf, type SiblingsFolder, unlink } from './siblings-folder.ts';

/** In the names of the copies. */
export const COPY = '.recording';

/** Of so many processes that have ended, what they noted is kept: more are a service that is in no state to be looked at. */
const ENDED_MAX = 32;

/** A fork's is larger than ours, but what is larger than that is none. */
const SIZE_MAX_BYTES = 16 * 1024 * 1024;

/** Rows that were read are read again for so long, and all since the last one: a process that is busy writes late. */
const LATE_SECONDS = 5;

/** Nobody looks any more. */
const FORGET_AFTER_MS = 10_000;

/** A regular file, without waiting for a writer as of a pipe. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

type Copy = { readonly name: string; readonly end: Recorded['end'] };

type Known = { readonly recording: Recording; readonly isFinal: boolean };

/** The copies that the other processes keep of what they note. While somebody looks, only what is new in them is read. */
export class Copies {
  readonly #folder: SiblingsFolder;
  readonly #known = new Map<string, Known>();
  readonly #forget = setTimeout(() => this.#known.clear(), FORGET_AFTER_MS).unref();

  constructor(folder: SiblingsFolder) {
    this.#folder = folder;
  }

  async read(): Promise<Recorded[]> {
    this.#forget.refresh();
    const copies = this.list();
    const names = new Set(copies.map(({ name }) => name));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    const read = await Promise.all(copies.map((copy) => this.#readOne(copy)));
    return read.filter((each) => each !== undefined);
  }

  /** Of the processes that have ended, those of the older ones are removed. */
  list(): Copy[] {
    const names = this.#folder.list(COPY).filter((name) => pidOf(name) !== process.pid);
    names.sort((one, other) => startOf(other) - startOf(one));
    const running = new Set<number>();
    const copies = names.map((name): Copy => {
      const pid = pidOf(name);
      const code = exitCodeOf(name);
      if (code !== undefined) return { name, end: code === 0 ? 'left' : 'lost' };
      // A pid may be that of another process by now: of several, the newest one's.
      if (running.has(pid) || !isRunning(pid)) return { name, end: 'lost' };
      running.add(pid);
      return { name, end: undefined };
    });
    const ended = copies.filter(({ end }) => end !== undefined);
    for (const { name } of ended.splice(ENDED_MAX)) this.#remove(name);
    return [...copies.filter(({ end }) => end === undefined), ...ended];
  }

  async #readOne({ name, end }: Copy): Promise<Recorded | undefined> {
    const known = this.#known.get(name);
    const recording = known?.isFinal ? known.recording : await this.#readFile(name, known?.recording);
    if (recording === undefined) {
      // Its process may have ended since the files were listed, and have marked it.
      const marked = this.list().find((other) => other.name.startsWith(name) && other.name !== name);
      return marked && this.#readOne(marked);
    }
    const now = Math.floor(Date.now() / 1000);
    if (recording.lastUntil(now) === undefined && recording.about.readyAt / 1000 < now - SECONDS_KEPT) {
      // Of a pid that runs, it is not removed: another process may have that pid now, or the clock was set, and it is about to go on.
      if (end !== undefined) this.#remove(name);
      return undefined;
    }
    this.#known.set(name, { recording, isFinal: end !== undefined });
    return { recording, end };
  }

  async #readFile(name: string, known: Recording | undefined): Promise<Recording | undefined> {
    let file: FileHandle | undefined;
    try {
      file = await open(this.#folder.file(name), FLAGS);
      const stats = await file.stat();
      if (!stats.isFile() || stats.size > SIZE_MAX_BYTES) return undefined;
      if (known === undefined) return Recording.read(await file.readFile());
      const now = Math.floor(Date.now() / 1000);
      const last = known.lastUntil(now) ?? now - SECONDS_KEPT + 1;
      const { start, end } = known.span(Math.min(now - LATE_SECONDS, last), now);
      await file.read(known.bytes, start, end - start, start);
      return known;
    } catch {
      // It has just been removed, or there are no descriptors.
      return undefined;
    } finally {
      await file?.close();
    }
  }

  #remove(name: string): void {
    unlink(this.#folder.file(name));
  }
}

/** When the process of a copy has started. */
function startOf(name: string): number {
  return Number(/-(\d+)/.exec(name)?.[1]);
}
