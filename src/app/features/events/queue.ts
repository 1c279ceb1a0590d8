import { QUEUE_MAX_BYTES, QUEUE_MAX_REQUESTS, READS_MAX, STALLED_MS } from './limits.ts';
import type { Answer } from './messages.ts';
import { queueFull, stalled } from './refusals.ts';

export type Pending = {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: Error) => void;
  /** Of its body, so far. */
  bytes: number;
  /** When its body last went on, on the clock of `performance.now()`; undefined when all of it is there. */
  progressAt: number | undefined;
};

/** What waits for an answer of the thread, and the bounds of that: the events of requests, and what reads. */
export class Queue {
  readonly #submissions = new Map<number, Pending>();
  readonly #reads = new Map<number, Pending>();
  readonly #cut: (request: number, reason: Error) => void;
  #bytes = 0;
  #lastRequest = 0;

  /** @param cut is to refuse a request whose body does not go on, and to take it out */
  constructor(cut: (request: number, reason: Error) => void) {
    this.#cut = cut;
  }

  get requests(): number {
    return this.#submissions.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws {Busy} when as many wait as may */
  addRead(): { request: number; answer: Promise<Answer> } {
    if (this.#reads.size >= READS_MAX) throw queueFull();
    return this.#add(this.#reads, undefined);
  }

  /**
   * @param expectedBytes what Content-Length says
   * @throws {Busy} when as much waits as may
   */
  addSubmission(expectedBytes: number): { request: number; answer: Promise<Answer> } {
    if (!this.#hasRoom(1, expectedBytes)) throw queueFull();
    return this.#add(this.#submissions, performance.now());
  }

  /** The submission whose body this is, if it still waits. */
  submission(request: number): Pending | undefined {
    return this.#submissions.get(request);
  }

  /** @returns whether there was room for these bytes of a body */
  grow(pending: Pending, bytes: number): boolean {
    // Before anything else, or it might take itself for stalled.
    pending.progressAt = performance.now();
    pending.bytes += bytes;
    this.#bytes += bytes;
    return this.#hasRoom(0, 0);
  }

  /** Its body is there. */
  complete(request: number): void {
    const pending = this.#submissions.get(request);
    if (pending !== undefined) pending.progressAt = undefined;
  }

  take(request: number): Pending | undefined {
    const pending = this.#submissions.get(request) ?? this.#reads.get(request);
    if (pending === undefined) return undefined;
    this.#submissions.delete(request);
    this.#reads.delete(request);
    this.#bytes -= pending.bytes;
    return pending;
  }

  /** All of them, in the order in which they came. */
  takeAll(): Pending[] {
    const requests = [...this.#submissions.keys(), ...this.#reads.keys()];
    return requests.flatMap((request) => this.take(request) ?? []);
  }

  #add(to: Map<number, Pending>, progressAt: number | undefined): { request: number; answer: Promise<Answer> } {
    const request = ++this.#lastRequest;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    to.set(request, { bytes: 0, progressAt, resolve, reject });
    return { request, answer: promise };
  }

  /** Whoever began a body and does not go on with it, must not keep out those who would. */
  #hasRoom(requests: number, bytes: number): boolean {
    if (this.#fits(requests, bytes)) return true;
    const now = performance.now();
    for (const [request, { progressAt }] of this.#submissions) {
      if (progressAt === undefined || now - progressAt < STALLED_MS) continue;
      this.#cut(request, stalled());
      if (this.#fits(requests, bytes)) return true;
    }
    return false;
  }

  #fits(requests: number, bytes: number): boolean {
    return this.requests + requests <= QUEUE_MAX_REQUESTS && this.#bytes + bytes <= QUEUE_MAX_BYTES;
  }
}
