import { openSync, write, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Recorded } from '../app/operations/status/overview.ts';
import { type About, Recording, SECONDS_KEPT } from '../app/operations/status/recording.ts';
import type { App } from '../app/types.ts';
import { hasLeft, isRunning, pidOf, type SiblingsFolder, unlink } from './siblings-folder.ts';

/** In the names of the copies. */
const COPY = '.recording';

/** Of so many processes that have ended, what they noted is kept: more are a service that is in no state to be looked at. */
const ENDED_MAX = 32;

type Span = { readonly start: number; readonly end: number };

const ALL: Span = { start: 0, end: Number.POSITIVE_INFINITY };

const SECOND_MS = 1000;

/** A timer may be early by so much. */
const EARLY_MS = 50;

/**
 * Notes once a second what the app tells of itself, and keeps it for a quarter of an hour. Where there are siblings, each has a copy in
 * a file in their folder. There the others find it, also when its process is busy or was killed: whichever is asked for `/status` reads
 * them all, and nobody has to answer.
 */
export class Recorder {
  readonly #app: App;
  readonly #folder: SiblingsFolder | undefined;
  readonly #recording: Recording;
  #copy: number | undefined;
  #isCopying = false;
  /** It is not all in the copy. */
  #isBehind = false;
  #hasTold = false;
  /** The last second that was noted, since 1970. */
  #last = secondBefore(Date.now());

  constructor(app: App, about: Pick<About, 'worker' | 'restarts'>, folder: SiblingsFolder | undefined) {
    this.#app = app;
    this.#folder = folder;
    const startedAt = Math.round(performance.timeOrigin);
    this.#recording = Recording.begin({ pid: process.pid, startedAt, readyAt: Date.now(), ...about }, app.vitals);
    try {
      this.#beginCopy();
    } catch (error) {
      this.#tellCopyFails(error);
    }
    process.on('exit', () => this.#end());
    this.#waitForSecond();
  }

  /** Of this process and of all others, those that ended less than a quarter of an hour ago too. */
  async read(): Promise<Recorded[]> {
    const own = { recording: this.#recording, isRunning: true };
    const read = await Promise.all(this.#listCopies().map((copy) => this.#readCopy(copy)));
    return [own, ...read.filter((each) => each !== undefined)];
  }

  /** Those of others. Of the processes that have ended, the older ones' are removed. */
  #listCopies(): { name: string; isRunning: boolean }[] {
    const copies = (this.#folder?.list(COPY) ?? [])
      .filter((name) => pidOf(name) !== process.pid)
      .map((name) => ({ name, isRunning: !hasLeft(name) && isRunning(pidOf(name)) }));
    const ended = copies
      .filter((copy) => !copy.isRunning)
      .sort((one, other) => startOf(one.name) - startOf(other.name));
    for (const { name } of ended.splice(0, Math.max(0, ended.length - ENDED_MAX))) this.#remove(name);
    return [...copies.filter((copy) => copy.isRunning), ...ended];
  }

  #remove(name: string): void {
    if (this.#folder) unlink(this.#folder.file(name));
  }

  get #name(): string {
    return `${process.pid}-${this.#recording.about.startedAt}${COPY}`;
  }

  #beginCopy(): void {
    if (this.#folder === undefined) return;
    this.#listCopies();
    this.#copy = openSync(this.#folder.file(this.#name), 'w', 0o600);
    writeSync(this.#copy, this.#recording.head);
  }

  async #readCopy({ name, isRunning }: { name: string; isRunning: boolean }): Promise<Recorded | undefined> {
    const bytes = await readFile(this.#folder?.file(name) ?? '').catch(() => undefined);
    const recording = bytes && Recording.read(new Uint8Array(bytes));
    const isOld = recording?.lastUntil(secondBefore(Date.now()) + 1) === undefined;
    if (!isRunning && isOld) this.#remove(name);
    return recording && { recording, isRunning };
  }

  #end(): void {
    // What is left, and the state in which it ends.
    const span = this.#note(this.#last + 1);
    const { start, end } = this.#isCopying || this.#isBehind ? ALL : span;
    const bytes = this.#recording.bytes.subarray(start, end);
    try {
      if (this.#copy !== undefined) writeSync(this.#copy, bytes, 0, bytes.length, start);
    } catch {
      // It could not be copied before either.
    }
    this.#folder?.leave(this.#name);
  }

  /** All processes at the same time, so that whoever tells of a second finds it whole. */
  #waitForSecond(): void {
    const note = () => {
      this.#copyRows(this.#note(secondBefore(Date.now())));
      this.#waitForSecond();
    };
    setTimeout(note, EARLY_MS + SECOND_MS - ((Date.now() + EARLY_MS) % SECOND_MS)).unref();
  }

  /** @returns the bytes that have changed */
  #note(second: number): Span {
    // Where the loop stood still, what happened since is spread over all these seconds; where the clock was set back, it goes on from there.
    const seconds = Math.min(Math.max(1, second - this.#last), SECONDS_KEPT);
    const values = this.#app.vitals.note(seconds);
    this.#last = second;
    const spans = Array.from({ length: seconds }, (_, ago) => this.#recording.write(second - ago, values));
    return spans.length === 1 && spans[0] ? spans[0] : ALL;
  }

  #copyRows(span: Span): void {
    if (this.#copy === undefined) return;
    // One that takes so long is not to have others behind it: the next one writes all.
    if (this.#isCopying) {
      this.#isBehind = true;
      return;
    }
    const { start, end } = this.#isBehind ? ALL : span;
    this.#isBehind = false;
    const bytes = this.#recording.bytes.subarray(start, end);
    this.#isCopying = true;
    write(this.#copy, bytes, 0, bytes.length, start, (error) => {
      this.#isCopying = false;
      if (error) this.#tellCopyFails(error);
    });
  }

  /** Told once: the next one may succeed again. */
  #tellCopyFails(error: unknown): void {
    this.#isBehind = true;
    if (!this.#hasTold)
      this.#app.log.warn({ err: error }, 'what /status tells of this process, others do not find: no file');
    this.#hasTold = true;
  }
}

/** When the process of a copy has started. */
function startOf(name: string): number {
  return Number(/-(\d+)/.exec(name)?.[1]);
}

/** The last one that is over. */
function secondBefore(now: number): number {
  return Math.floor((now + EARLY_MS) / SECOND_MS) - 1;
}
