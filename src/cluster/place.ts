import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { replacementDelayMs, startBackoffMs } from './backoff.ts';
import type { Exit, WorkerProcess } from './worker-process.ts';

export type Succession = { readonly failure?: string; readonly replaced?: WorkerProcess | undefined };

/** Where one worker serves, for as long as one is wanted there; who it is changes. */
export class Place {
  readonly #fork: () => WorkerProcess;
  readonly #log: Logger;
  #current: WorkerProcess | undefined;
  /** The one that is to take over, from its fork until it does. */
  #successor: WorkerProcess | undefined;
  #failures = 0;
  #restarts = 0;
  #lastStartAt = Number.NEGATIVE_INFINITY;
  #refill: NodeJS.Timeout | undefined;
  #isWanted = true;

  constructor(fork: () => WorkerProcess, log: Logger) {
    this.#fork = fork;
    this.#log = log;
    this.#fill();
  }

  get current(): WorkerProcess | undefined {
    return this.#current;
  }

  /** How many were lost here. */
  get restarts(): number {
    return this.#restarts;
  }

  /** No worker is wanted here any more. Those that are here are left to the caller, who gets them. */
  abandon(): WorkerProcess[] {
    this.#isWanted = false;
    clearTimeout(this.#refill);
    return [this.#current, this.#successor].filter((worker) => worker !== undefined);
  }

  /**
   * Starts a worker, which takes the place of the present one when it is ready and has served beside it for `probationMs`.
   *
   * @returns the one that was replaced, which is now for the caller to let go, or why it did not come to that: it then stays
   */
  async succeed(probationMs: number): Promise<Succession> {
    if (!this.#isWanted) return {};
    const next = this.#start();
    if (next === undefined) return { failure: 'no process could be started' };
    // Where nobody is here at the moment, it is the one that was to come.
    clearTimeout(this.#refill);
    this.#successor = next;
    const exited = new Promise<string>((resolve) => next.on('exit', (exit) => resolve(obituary(exit))));
    const ready = new Promise<undefined>((resolve) => next.on('ready', () => resolve(undefined)));
    const left = new Promise<string>((resolve) =>
      next.on('leaving', () => resolve('the new worker began to leave by itself soon after it was ready')),
    );
    const failure =
      (await Promise.race([exited, ready])) ?? (await Promise.race([exited, left, sleep(probationMs, undefined)]));
    // Abandoned meanwhile: that is no failure, and whoever did it has let both go.
    if (!this.#isWanted) return {};
    if (failure !== undefined) return { failure };
    // It had to take over early, because the present one died.
    if (this.#successor !== next) return {};
    const replaced = this.#current;
    this.#current = next;
    this.#successor = undefined;
    return { replaced };
  }

  /**
   * The worker that was replaced serves here again, if it still can.
   *
   * @returns the one that had taken its place, or itself, where nobody is wanted here any more; it is now for the caller to let go
   */
  takeBack(replaced: WorkerProcess): WorkerProcess | undefined {
    if (!replaced.isServing) return undefined;
    // Nobody is wanted here any more.
    if (!this.#isWanted) return replaced;
    clearTimeout(this.#refill);
    const withdrawn = this.#current;
    this.#current = replaced;
    return withdrawn;
  }

  #start(): WorkerProcess | undefined {
    this.#lastStartAt = performance.now();
    let worker: WorkerProcess;
    try {
      worker = this.#fork();
    } catch (error) {
      this.#log.error({ err: error }, 'no process could be started');
      return undefined;
    }
    worker.on('ready', () => {
      this.#failures = 0;
    });
    worker.on('leaving', () => this.#vacate(worker, true, { reason: 'it leaves by itself' }));
    worker.on('exit', (exit) => this.#vacate(worker, exit.wasReady, exit));
    return worker;
  }

  #fill(): void {
    this.#current = this.#start();
    if (this.#current === undefined) this.#refillAfter(startBackoffMs(++this.#failures));
  }

  #refillAfter(ms: number): void {
    this.#refill = setTimeout(() => this.#fill(), ms);
  }

  /** A worker does not serve any more: where it is the present one, another one is to. */
  #vacate(worker: WorkerProcess, wasReady: boolean, why: Partial<Exit>): void {
    if (worker === this.#successor) {
      this.#successor = undefined;
    } else if (worker === this.#current) {
      this.#restarts++;
      this.#current = this.#successor;
      this.#successor = undefined;
      if (this.#current !== undefined)
        this.#log.warn({ workerId: worker.id, ...why }, 'worker lost: its successor serves');
    } else {
      return;
    }
    if (!this.#isWanted || this.#current !== undefined) return;
    if (!wasReady) this.#failures++;
    const waitMs = wasReady
      ? replacementDelayMs(performance.now() - this.#lastStartAt)
      : startBackoffMs(this.#failures);
    this.#log.warn({ workerId: worker.id, ...why, waitMs }, 'worker lost: replacing it');
    this.#refillAfter(waitMs);
  }
}

function obituary({ code, signal, wasReady, reason }: Exit): string {
  // It was never born.
  if (code === null && signal === null && reason !== undefined) return reason;
  const how = signal === null ? `with code ${code}` : `by ${signal}`;
  const when = wasReady ? 'soon after it was ready' : 'before it was ready';
  // A failed import is printed, for there is no log yet; what fails later is logged.
  const where = signal === null ? '; why is on standard error, or in the log' : '';
  return `the new worker ended ${how} ${when}${reason === undefined ? where : `: ${reason}`}`;
}
