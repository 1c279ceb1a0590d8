import type { Vitals } from '../../vitals.ts';

/** So much is kept. */
export const SECONDS_KEPT = 15 * 60;

const NUMBER_BYTES = Float64Array.BYTES_PER_ELEMENT;

/** Another layout of the bytes has another number: processes of two versions may serve beside each other. */
const FORMAT = 1;

/** Of the process. */
export type About = {
  readonly pid: number;
  readonly worker: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly readyAt: number;
};

/** Of the bytes. */
export type Span = { readonly start: number; readonly end: number };

type Head = About & { readonly format: number; readonly columns: Vitals['columns'] };

/**
 * What a process has noted of itself in the last quarter of an hour. It is one piece of memory: a number, the length of the head in
 * bytes; the head, which says as JSON what is in it; then a row for each second, its time (seconds since 1970) and the numbers. A row
 * has its place by its time, and is where the one of a quarter of an hour ago was: so a copy in a file is kept up by writing one row.
 */
export class Recording {
  readonly about: About;
  /** Head and rows. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #columns = new Map<string, readonly [start: number, end: number]>();
  readonly #rowLength: number;
  /** Where in the bytes they begin. */
  readonly #rowsAt: number;
  readonly #rows: Float64Array;

  static begin(about: About, vitals: Vitals): Recording {
    const head: Head = { ...about, format: FORMAT, columns: vitals.columns };
    const json = new TextEncoder().encode(JSON.stringify(head));
    const rowsAt = NUMBER_BYTES + json.length + (-json.length & (NUMBER_BYTES - 1));
    const bytes = new Uint8Array(sizeOf(head, rowsAt));
    new Float64Array(bytes.buffer, 0, 1).set([json.length]);
    bytes.set(json, NUMBER_BYTES);
    return new Recording(head, rowsAt, bytes);
  }

  /**
   * @param copy a part of the bytes, from the first one on
   * @returns undefined for what is none, or none yet, or one of another version
   */
  static read(copy: Buffer): Recording | undefined {
    if (copy.length < NUMBER_BYTES) return undefined;
    const [headLength = 0] = new Float64Array(Uint8Array.from(copy.subarray(0, NUMBER_BYTES)).buffer);
    const rowsAt = NUMBER_BYTES + headLength + (-headLength & (NUMBER_BYTES - 1));
    try {
      const head: Head = JSON.parse(copy.toString('utf8', NUMBER_BYTES, NUMBER_BYTES + headLength));
      if (head.format !== FORMAT) return undefined;
      const bytes = new Uint8Array(sizeOf(head, rowsAt));
      bytes.set(copy.subarray(0, bytes.length));
      return new Recording(head, rowsAt, bytes);
    } catch {
      return undefined;
    }
  }

  private constructor(head: Head, rowsAt: number, bytes: Uint8Array<ArrayBuffer>) {
    this.about = head;
    this.bytes = bytes;
    this.#rowsAt = rowsAt;
    this.#rowLength = rowLengthOf(head);
    let start = 1;
    for (const [name, width] of head.columns) {
      this.#columns.set(name, [start, start + width]);
      start += width;
    }
    this.#rows = new Float64Array(bytes.buffer, rowsAt);
  }

  /** All before the first row. */
  get head(): Span {
    return { start: 0, end: this.#rowsAt };
  }

  get all(): Span {
    return { start: 0, end: this.bytes.length };
  }

  /** @returns where these rows are, or all, where they are not together */
  span(first: number, last: number): Span {
    const start = this.#rowsAt + this.#startOf(first) * NUMBER_BYTES;
    const end = this.#rowsAt + (this.#startOf(last) + this.#rowLength) * NUMBER_BYTES;
    return start < end ? { start, end: Math.min(end, this.bytes.length) } : this.all;
  }

  write(second: number, values: readonly number[]): Span {
    this.#rows.set([second, ...values], this.#startOf(second));
    return this.span(second, second);
  }

  /** @returns what it noted in this second, or undefined if it did not */
  at(second: number, column: string): Readonly<Float64Array> | undefined {
    const start = this.#startOf(second);
    const place = this.#columns.get(column);
    if (place === undefined || this.#rows[start] !== second) return undefined;
    return this.#rows.subarray(start + place[0], start + place[1]);
  }

  /** @returns the last second up to `now` of which there is something */
  lastUntil(now: number): number | undefined {
    for (let second = now; second > now - SECONDS_KEPT; second--) {
      if (this.#rows[this.#startOf(second)] === second) return second;
    }
    return undefined;
  }

  #startOf(second: number): number {
    return (second % SECONDS_KEPT) * this.#rowLength;
  }
}

function sizeOf(head: Head, rowsAt: number): number {
  return rowsAt + SECONDS_KEPT * rowLengthOf(head) * NUMBER_BYTES;
}

/** The time and the numbers. */
function rowLengthOf({ columns }: Head): number {
  return 1 + columns.reduce((total, [, width]) => total + width, 0);
}
