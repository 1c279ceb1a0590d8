import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { FastifyBaseLogger } from 'fastify';
import type { Registry } from 'prom-client';
import type { Config } from '../../../config/settings.ts';
import { workerCount } from '../../../config/worker-count.ts';
import type { Check } from '../../checks.ts';
import { EventMetrics } from './event-metrics.ts';
import { BODY_MAX_BYTES, EVENTS_MAX, READERS_MAX } from './limits.ts';
import type { Answer, Format, FromThread, ThreadData, ToThread } from './messages.ts';
import { Outbox } from './outbox.ts';
import { Queue } from './queue.ts';
import { cannotOpen, queueFull, toError, tooLarge, unavailable } from './refusals.ts';
import type { PageQuery, SummaryQuery } from './store.ts';

const THREAD = new URL('thread/store-thread.js', import.meta.url);

/** A thread that died is replaced, but not in a tight loop. */
const RESTART_MS = 1000;

/** What the queue holds, ten times as JavaScript has it, and what the rest needs. */
const HEAP_MAX_MB = 512;

export type Part = { readonly json: Uint8Array<ArrayBuffer>; readonly next: string | undefined };

/**
 * The event loop's side of the thread that has the store: hands it what arrives, bounds how much that is, and gives its
 * answers to the requests they are for.
 */
export class EventThread {
  readonly metrics: EventMetrics;
  readonly #url: string;
  readonly #readersMax: number;
  readonly #log: FastifyBaseLogger;
  readonly #queue = new Queue(
    () => this.#unreadBytes,
    (request, reason) => this.#refuse(request, reason),
  );
  /** How many bytes the thread has read so far, modulo 2^32. */
  #readBytes = new Uint32Array(new SharedArrayBuffer(4));
  #thread: Worker | undefined;
  #opening: PromiseWithResolvers<void> | undefined;
  #state: 'unopened' | 'up' | 'down' | 'closed' = 'unopened';
  #reason = '';
  /** One that could never be opened is for the operator, not to be tried again. */
  #wasOpen = false;
  readonly #outbox = new Outbox((messages, transferred) => this.#thread?.postMessage(messages, transferred));

  constructor(config: Config, registry: Registry, log: FastifyBaseLogger) {
    this.#url = config.databaseUrl;
    this.#readersMax = Math.max(1, Math.floor(READERS_MAX / workerCount(config)));
    this.#log = log;
    this.metrics = new EventMetrics(registry, this.#queue);
  }

  get check(): Check {
    return this.#state === 'down' ? { status: 'unavailable', reason: this.#reason } : { status: 'ok' };
  }

  /**
   * Starts the thread and opens the store, once.
   *
   * @throws {Error} with the code `CANNOT_OPEN_STORE` and a sentence for the operator
   */
  open(): Promise<void> {
    if (this.#opening === undefined) {
      this.#opening = Promise.withResolvers();
      this.#start(true);
    }
    return this.#opening.promise;
  }

  /**
   * Begins to take the events of a request.
   *
   * @param expectedBytes what Content-Length says
   * @throws {Busy} when as much waits as may, or the store does not work
   * @throws {Refusal} when it is too much for one request
   */
  begin(format: Format, key: string | undefined, expectedBytes: number): EventSubmission {
    if (expectedBytes > BODY_MAX_BYTES) throw tooLarge();
    this.#expectStore();
    const { request, answer } = this.#queue.addSubmission(expectedBytes);
    this.#openUnopened();
    this.#outbox.add({ kind: 'begin', request, format, maxEvents: EVENTS_MAX, key, arrivedAt: Date.now() });
    return {
      accepted: answer.then((given) => {
        if ('accepted' in given) return given.accepted;
        throw new Error('the thread answered something else');
      }),
      write: (bytes, isOwned) => this.#write(request, bytes, isOwned),
      end: () => {
        this.#queue.complete(request);
        this.#outbox.add({ kind: 'end', request });
      },
      refuse: (reason) => this.#refuse(request, reason),
    };
  }

  page(query: PageQuery): Promise<Part> {
    return this.#read((request) => ({ kind: 'page', request, query }));
  }

  summary(query: SummaryQuery): Promise<Part> {
    return this.#read((request) => ({ kind: 'summary', request, query }));
  }

  /** Commits what has arrived completely, closes the store and ends the thread. */
  async close(): Promise<void> {
    this.#state = 'closed';
    const thread = this.#thread;
    if (thread === undefined) return;
    const ended = once(thread, 'exit');
    this.#outbox.add({ kind: 'close' });
    await ended;
  }

  async #read(message: (request: number) => Extract<ToThread, { kind: 'page' | 'summary' }>): Promise<Part> {
    this.#expectStore();
    const { request, answer } = this.#queue.addRead();
    this.#openUnopened();
    this.#outbox.add(message(request));
    const given = await answer;
    if ('json' in given) return given;
    throw new Error('the thread answered something else');
  }

  get #unreadBytes(): number {
    return (this.#outbox.bytes - Atomics.load(this.#readBytes, 0)) >>> 0;
  }

  #expectStore(): void {
    if (this.#state === 'down' || this.#state === 'closed') throw unavailable();
  }

  /** A store that is kept nowhere is not opened before it is used. */
  #openUnopened(): void {
    if (this.#opening === undefined) this.open().catch(() => {});
  }

  #write(request: number, bytes: Uint8Array, isOwned: boolean): void {
    const submission = this.#queue.arriving(request);
    // Refused already: what still comes is read, so that the client reads its answer, and forgotten.
    if (submission === undefined) return;
    if (submission.bytes + bytes.length > BODY_MAX_BYTES) this.#refuse(request, tooLarge());
    else if (!this.#queue.grow(submission, bytes.length)) this.#refuse(request, queueFull());
    else this.#outbox.addBytes(request, bytes, isOwned);
  }

  #refuse(request: number, reason: Error): void {
    const pending = this.#queue.take(request);
    if (pending === undefined) return;
    this.#outbox.add({ kind: 'abort', request });
    pending.reject(reason);
  }

  #start(mustOpen: boolean): void {
    // What the one before has not read, nobody will.
    this.#readBytes[0] = this.#outbox.bytes;
    const workerData: ThreadData = {
      url: this.#url,
      readersMax: this.#readersMax,
      mustOpen,
      readBytes: this.#readBytes,
    };
    const thread = new Worker(THREAD, {
      name: 'events',
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MAX_MB },
      // It takes what it needs as data.
      env: {},
      execArgv: [],
    });
    this.#thread = thread;
    thread.on('message', (message: FromThread) => this.#hear(message));
    thread.on('error', (error) => this.#log.error({ err: error }, 'the thread of the events failed'));
    thread.on('exit', () => this.#lost());
  }

  #hear(message: FromThread): void {
    switch (message.kind) {
      case 'answers':
        if (message.commit) this.metrics.committed(message.commit);
        for (const answer of message.answers) this.#deliver(answer);
        break;
      case 'up':
        if (this.#state === 'down') this.#log.info('the event store works again');
        if (this.#state !== 'closed') this.#state = 'up';
        this.#wasOpen = true;
        this.#opening?.resolve();
        break;
      case 'down':
        if (!this.#wasOpen) this.#opening?.reject(cannotOpen(this.#url, message.reason));
        this.#down(message.reason);
    }
  }

  #deliver(answer: Answer): void {
    const pending = this.#queue.take(answer.request);
    if ('refusal' in answer) pending?.reject(toError(answer.refusal));
    else pending?.resolve(answer);
  }

  #down(reason: string): void {
    if (this.#state === 'closed') return;
    if (!this.#wasOpen) {
      // Why it could not be opened is what to mend, not that its thread ended then.
      if (this.#state === 'down') return;
      this.#log.error({ reason }, 'the event store cannot be opened');
    } else if (this.#state !== 'down' || this.#reason !== reason) {
      this.#log.error({ reason }, 'the event store does not work; it is reopened as soon as that is possible');
    }
    this.#state = 'down';
    this.#reason = reason;
  }

  /** Nobody can tell what of this has been committed: clients ask again, and ids keep that harmless. */
  #lost(): void {
    this.#thread = undefined;
    this.#opening?.reject(cannotOpen(this.#url, 'its thread ended'));
    this.#down('its thread ended');
    for (const { reject } of this.#queue.takeAll()) reject(unavailable());
    if (this.#state === 'closed' || !this.#wasOpen) return;
    setTimeout(() => {
      if (this.#state !== 'closed') this.#start(false);
    }, RESTART_MS).unref();
  }
}

/** The events of one request, as they arrive. */
export type EventSubmission = {
  /** How many events there are, when they have been committed. Rejects when they are refused. */
  readonly accepted: Promise<number>;
  /** @param isOwned whether nobody else reads or writes these bytes later: then they are not copied */
  readonly write: (bytes: Uint8Array, isOwned: boolean) => void;
  readonly end: () => void;
  /** Nothing of it is to be stored, if it has not ended yet. */
  readonly refuse: (reason: Error) => void;
};
