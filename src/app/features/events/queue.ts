import { QUEUE_MAX_BYTES, QUEUE_MAX_REQUESTS, READS_MAX, SLOW_AFTER_MS, SLOW_BYTES_PER_MS } from './limits.ts';
import type { Answer } from './messages.ts';
import { bodySlow, queueFull } from './refusals.ts';

export type Pending = {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: Error) => void;
};

/** Times are those of `performance.now()`. */
export type Submission = Pending & {
  /** What Content-Length says; its place is kept. */
  readonly expectedBytes: number;
  /** Of its body, so far. */
  bytes: number;
  /** When it was last looked at, or began, and how many bytes there were then. */
  seen: { readonly at: number; readonly bytes: number };
};

type Asked = { readonly request: number; readonly answer: Promise<Answer> };

/** What waits for an answer of the thread, and the bounds of that: the events of requests, and what reads. */
export class Queue {
  /** Whose bodies are not all there, the oldest first. */
  readonly #arriving = new Map<number, Submission>();
  readonly #complete = new Map<number, Submission>();
  readonly #reads = new Map<number, Pending>();
  readonly #unreadBytes: () => number;
  readonly #cut: (request: number, reason: Error) => void;
  #bytes = 0;
  #lastRequest = 0;
  #soughtAt = Number.NEGATIVE_INFINITY;

  /**
   * @param unreadBytes what lies before the thread, also of requests that have left meanwhile
   * @param cut is to refuse a request, and to take it out
   */
  constructor(unreadBytes: () => number, cut: (request: number, reason: Error) => void) {
    this.#unreadBytes = unreadBytes;
    this.#cut = cut;
  }

  get requests(): number {
    return this.#arriving.size + this.#complete.size;
  }

  /** What the bodies of these requests have, or are going to have. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws {Busy} when the queue is full */
  addRead(): Asked {
    if (this.#reads.size >= READS_MAX) throw queueFull();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const request = ++this.#lastRequest;
    this.#reads.set(request, { resolve, reject });
    return { request, answer: promise };
  }

  /**
   * @param expectedBytes what Content-Length says
   * @throws {Busy} when as much waits as may
   */
  addSubmission(expectedBytes: number, now = performance.now()): Asked {
    if (!this.#hasRoom(1, expectedBytes, now)) throw queueFull();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const request = ++this.#lastRequest;
    this.#arriving.set(request, { expectedBytes, bytes: 0, seen: { at: now, bytes: 0 }, resolve, reject });
    this.#bytes += expectedBytes;
    return { request, answer: promise };
  }

  /** The submission whose body is arriving, if it still waits. */
  arriving(request: number): Submission | undefined {
    return this.#arriving.get(request);
  }

  /** @returns whether there was room for these bytes of a body */
  grow(submission: Submission, bytes: number, now = performance.now()): boolean {
    const before = placeOf(submission);
    submission.bytes += bytes;
    this.#bytes += placeOf(submission) - before;
    return this.#hasRoom(0, 0, now);
  }

  /** Its body is there. */
  complete(request: number): void {
    const submission = this.#arriving.get(request);
    if (submission === undefined) return;
    this.#arriving.delete(request);
    this.#complete.set(request, submission);
  }

  take(request: number): Pending | undefined {
    const submission = this.#arriving.get(request) ?? this.#complete.get(request);
    if (submission !== undefined) {
      this.#arriving.delete(request);
      this.#complete.delete(request);
      this.#bytes -= placeOf(submission);
      return submission;
    }
    const read = this.#reads.get(request);
    this.#reads.delete(request);
    return read;
  }

  takeAll(): Pending[] {
    const requests = [this.#complete, this.#arriving, this.#reads].flatMap((pending) => [...pending.keys()]);
    return requests.flatMap((request) => this.take(request) ?? []);
  }

  /** A body that takes its time may do so, but must not keep out those that do not. */
  #hasRoom(requests: number, bytes: number, now: number): boolean {
    const overBytes = this.#bytes + bytes - QUEUE_MAX_BYTES;
    const overRequests = this.requests + requests - QUEUE_MAX_REQUESTS;
    if (this.#unreadBytes() + bytes > QUEUE_MAX_BYTES) return false;
    if (overBytes <= 0 && overRequests <= 0) return true;
    // Looking through all of them takes time, just when there is none.
    if (now - this.#soughtAt < SLOW_AFTER_MS / 10) return false;
    this.#soughtAt = now;
    const slow = this.#slowest(overBytes, overRequests, now);
    for (const request of slow) this.#cut(request, bodySlow());
    return slow.length > 0;
  }

  /** @returns as many as make enough room, or none */
  #slowest(overBytes: number, overRequests: number, now: number): number[] {
    const slow: number[] = [];
    let freed = 0;
    for (const [request, submission] of this.#arriving) {
      const { seen, bytes } = submission;
      const ms = now - seen.at;
      if (ms < SLOW_AFTER_MS) continue;
      if (bytes - seen.bytes > ms * SLOW_BYTES_PER_MS) {
        submission.seen = { at: now, bytes };
        continue;
      }
      slow.push(request);
      freed += placeOf(submission);
      if (freed >= overBytes && slow.length >= overRequests) return slow;
    }
    return [];
  }
}

function placeOf({ expectedBytes, bytes }: Submission): number {
  return Math.max(expectedBytes, bytes);
}
