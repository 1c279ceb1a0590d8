import { Readable } from 'node:stream';
import type { FastifyBaseLogger } from 'fastify';
import { Busy } from '../../errors/busy.ts';
import type { Situation } from './messages.ts';
import type { Overview } from './overview.ts';

const VIEWERS_MAX = 64;

/** One that has not read so much is not looking. */
const UNREAD_MAX_BYTES = 1024 * 1024;

/** After the turn of the second: by then the processes have noted it. */
const AFTER_SECOND_MS = 200;

/** Browsers come back after so long. */
const RETRY_MS = 500;

const RETRY_AFTER_SECONDS = 5;

/** An event, and the last second that is in it. */
type Told = { readonly text: string; readonly last: number | undefined };

/**
 * Those who look at the page. Each gets all that is kept, then once a second what is new; while nobody looks, nothing is done.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class Viewers {
  readonly #overview: Overview;
  readonly #log: FastifyBaseLogger;
  /** With the last second that each was told; undefined until its first. */
  readonly #streams = new Map<Readable, number | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #beginning: Promise<Told> | undefined;
  #isEnding = false;

  constructor(overview: Overview, log: FastifyBaseLogger) {
    this.#overview = overview;
    this.#log = log;
  }

  /**
   * @param signal says that one has left
   * @throws {Busy} when there are too many already
   */
  async add(signal: AbortSignal): Promise<Readable> {
    if (this.#streams.size >= VIEWERS_MAX) {
      throw new Busy('TOO_MANY_VIEWERS', 'Too many viewers. Try again later.', RETRY_AFTER_SECONDS);
    }
    const stream = new Readable({ read() {} });
    stream.push(`retry: ${RETRY_MS}\n\n`);
    if (this.#isEnding) {
      stream.push(null);
      return stream;
    }
    // Counted from here on.
    this.#streams.set(stream, undefined);
    stream.on('close', () => this.#streams.delete(stream));
    signal.addEventListener('abort', () => stream.destroy());
    try {
      this.#tell(stream, await this.#tellBeginning());
    } catch (error) {
      stream.destroy();
      throw error;
    }
    if (!this.#isEnding) this.#timer ??= atNextSecond(() => this.#tellAll());
    return stream;
  }

  /** They come back, to another process. */
  end(): void {
    this.#isEnding = true;
    clearTimeout(this.#timer);
    for (const stream of this.#streams.keys()) stream.push(null);
    this.#streams.clear();
  }

  /** It stays so until the next second is noted. It costs tens of milliseconds, and after a reload all come back at once. */
  #tellBeginning(): Promise<Told> {
    if (this.#beginning === undefined) {
      const forget = () => {
        this.#beginning = undefined;
      };
      this.#beginning = this.#overview.beginning().then((beginning) => toldOf('beginning', beginning));
      this.#beginning.then(() => atNextSecond(forget), forget);
    }
    return this.#beginning;
  }

  async #tellAll(): Promise<void> {
    try {
      await this.#beginAnew();
      const lasts = [...this.#streams.values()].filter((last) => last !== undefined);
      // Those who came later have been told more.
      const situation = await this.#overview.since(Math.min(...lasts));
      const toldAfter = new Map(
        lasts.map((last) => [
          last,
          toldOf('second', { ...situation, points: situation.points.filter(({ time }) => time > last) }),
        ]),
      );
      for (const [stream, last] of this.#streams) {
        const told = last === undefined ? undefined : toldAfter.get(last);
        if (told) this.#tell(stream, told);
      }
    } catch (error) {
      this.#log.warn({ err: error }, '/status cannot be updated');
    }
    this.#timer = this.#streams.size === 0 || this.#isEnding ? undefined : atNextSecond(() => this.#tellAll());
  }

  /** Where the clock was set back, what was told lies ahead. */
  async #beginAnew(): Promise<void> {
    const now = Date.now() / 1000;
    for (const [stream, last = 0] of this.#streams) {
      if (last > now) this.#tell(stream, await this.#tellBeginning());
    }
  }

  #tell(stream: Readable, { text, last }: Told): void {
    if (!this.#streams.has(stream)) return;
    this.#streams.set(stream, last ?? this.#streams.get(stream) ?? 0);
    if (stream.readableLength > UNREAD_MAX_BYTES) stream.destroy();
    else stream.push(text);
  }
}

function atNextSecond(act: () => void): NodeJS.Timeout {
  const sinceSecondMs = (Date.now() - AFTER_SECOND_MS) % 1000;
  return setTimeout(act, 1000 - sinceSecondMs).unref();
}

function toldOf(event: 'beginning' | 'second', situation: Situation): Told {
  return {
    text: `event: ${event}\ndata: ${JSON.stringify(situation)}\n\n`,
    last: situation.points.at(-1)?.time,
  };
}
