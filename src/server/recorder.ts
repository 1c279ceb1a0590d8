import { openSync, write, writeSync } from 'node:fs';
import type { Recorded } from '../app/operations/status/overview.ts';
import { Recording, SECONDS_KEPT, type Span } from '../app/operations/status/recording.ts';
import type { App } from '../app/types.ts';
import { COPY, Copies } from './copies.ts';
import type { SiblingsFolder } from './siblings-folder.ts';

const SECOND_MS = 1000;

/** A timer may be early by so much. */
const EARLY_MS = 50;

/** Without a file, so often another try is made. */
const RETRY_MS = 60_000;

/**
 * Notes once a second what the app tells of itself, and keeps it for a quarter of an hour. Where there are siblings, each has a copy in
 * a file in their folder. There the others find it, also when its process is busy or was killed: whichever is asked for `/status` reads
 * them all, and nobody has to answer.
 */
export class Recorder {
  readonly #app: App;
  readonly #folder: SiblingsFolder | undefined;
  readonly #copies: Copies | undefined;
  readonly #recording: Recording;
  #copy: number | undefined;
  #isCopying = false;
  /** It is not all in the copy. */
  #isBehind = true;
  #triedAt = Number.NEGATIVE_INFINITY;
  #hasTold = false;
  /** The last second that was noted, since 1970. */
  #last = secondBefore(Date.now());
  #notedAt = performance.now();

  constructor(app: App, worker: string, folder: SiblingsFolder | undefined) {
    this.#app = app;
    this.#folder = folder;
    this.#copies = folder && new Copies(folder);
    const startedAt = Math.round(performance.timeOrigin);
    this.#recording = Recording.begin({ pid: process.pid, startedAt, readyAt: Date.now(), worker }, app.vitals);
    // Those of processes that have ended may be too many: nobody may look for long.
    this.#copies?.list();
    this.#openCopy();
    if (this.#copy !== undefined) this.#writeNow(this.#recording.head);
    process.on('exit', (code) => this.#end(code));
    this.#waitForSecond();
  }

  /** Of this process and of all others, those that ended less than a quarter of an hour ago too. */
  async read(): Promise<Recorded[]> {
    const others = (await this.#copies?.read()) ?? [];
    return [{ recording: this.#recording, end: undefined }, ...others];
  }

  get #name(): string {
    return `${process.pid}-${this.#recording.about.startedAt}${COPY}`;
  }

  #openCopy(): void {
    if (this.#folder === undefined || performance.now() - this.#triedAt < RETRY_MS) return;
    this.#triedAt = performance.now();
    try {
      this.#copy = openSync(this.#folder.file(this.#name), 'w', 0o600);
    } catch (error) {
      this.#tellCopyFails(error);
    }
  }

  #writeNow({ start, end }: Span): void {
    const bytes = this.#recording.bytes.subarray(start, end);
    try {
      if (this.#copy !== undefined) writeSync(this.#copy, bytes, 0, bytes.length, start);
      this.#isBehind = false;
    } catch (error) {
      this.#tellCopyFails(error);
    }
  }

  #end(code: number): void {
    // What is left, and the state in which it ends.
    const span = this.#note(this.#last + 1);
    this.#writeNow(this.#isCopying || this.#isBehind ? this.#recording.all : span);
    this.#folder?.leave(this.#name, code);
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
    const now = performance.now();
    // Where the loop stood still, what happened since is spread over all these seconds. Where the clock was set, it is not, and goes on
    // from there.
    const elapsed = Math.ceil((now - this.#notedAt) / SECOND_MS);
    const seconds = Math.min(Math.max(1, second - this.#last), elapsed, SECONDS_KEPT);
    this.#notedAt = now;
    this.#last = second;
    const values = this.#app.vitals.note(seconds);
    const spans = Array.from({ length: seconds }, (_, ago) => this.#recording.write(second - ago, values));
    return spans.length === 1 && spans[0] ? spans[0] : this.#recording.all;
  }

  #copyRows(span: Span): void {
    if (this.#copy === undefined) this.#openCopy();
    if (this.#copy === undefined) return;
    // One that takes so long is not to have others behind it: the next one writes all.
    if (this.#isCopying) {
      this.#isBehind = true;
      return;
    }
    const { start, end } = this.#isBehind ? this.#recording.all : span;
    this.#isBehind = false;
    this.#isCopying = true;
    write(this.#copy, this.#recording.bytes, start, end - start, start, (error) => {
      this.#isCopying = false;
      if (error) this.#tellCopyFails(error);
    });
  }

  /** Told once: the next one may succeed again. */
  #tellCopyFails(error: unknown): void {
    this.#isBehind = true;
    if (!this.#hasTold)
      this.#app.log.warn({ err: error }, '/status of other processes does not show this one: it cannot write its file');
    this.#hasTold = true;
  }
}

/** The last one that is over. */
function secondBefore(now: number): number {
  return Math.floor((now + EARLY_MS) / SECOND_MS) - 1;
}
