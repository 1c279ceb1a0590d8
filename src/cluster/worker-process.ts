import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { Config } from '../config/settings.ts';
import { retirePatienceMs, supervisorPatienceMs } from '../config/timing.ts';
import {
  isHeartbeat,
  LEAVING,
  type LogLevelWish,
  READY,
  RETIRE,
  STOP,
  type SupervisorReport,
} from '../server/messages.ts';

/** A loop that has stood still for so long does not come back in time for anybody who waits. */
const STANDSTILL_MS = 10_000;

/** A worker that has more than MAX_WORKER_RSS_MB from its start is replaced when it has so many times as much. */
const TOO_LARGE_GROWTH = 2;

/** Why a worker was killed whose loop did not turn any more. */
export const STOOD_STILL = 'it stood still';

/** What is likely to be behind a signal that nobody sent on purpose. */
const CAUSES: Record<string, string | undefined> = {
  SIGABRT: 'it aborted, most often because its heap was full',
  SIGKILL: 'somebody killed it, or the kernel did because memory was short',
};

export type Exit = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly wasReady: boolean;
  /** Whether it was about to go anyway. */
  readonly wasLeaving: boolean;
  /** Why, where that is known. */
  readonly reason: string | undefined;
};

/** One worker, from its fork to its exit. */
export class WorkerProcess extends EventEmitter<{ ready: []; leaving: []; measured: []; exit: [Exit] }> {
  readonly startedAt = performance.now();
  readonly id: number;
  readonly #process: ChildProcess;
  readonly #config: Config;
  readonly #log: Logger;
  #state: 'starting' | 'ready' | 'leaving' | 'gone' = 'starting';
  #wasReady = false;
  #reason: string | undefined;
  /** What it was told when it was to leave. */
  #farewell: typeof STOP | typeof RETIRE | undefined;
  #lastBeatAt = 0;
  #rssBytes = 0;
  #rssMaxBytes: number | null = null;
  /** What is done when it does not do in time what is expected of it. */
  #timer: NodeJS.Timeout;

  constructor(id: number, child: ChildProcess, config: Config, log: Logger) {
    super();
    this.id = id;
    this.#config = config;
    this.#process = child;
    this.#log = log.child({ workerId: id });
    this.#timer = this.#killAfter(config.startTimeoutMs, 'it was not ready in time');
    this.#process.on('message', (message: unknown) => {
      this.#lastBeatAt = performance.now();
      if (message === READY) this.#onReady();
      else if (message === LEAVING) this.#onLeaving();
      else if (isHeartbeat(message)) this.#onMeasured(message.heartbeat.rssBytes);
    });
    this.#process.on('exit', (code, signal) => this.#onExit(code, signal));
    this.#process.on('error', (error) => {
      // Sending to a worker that is just dying fails, and its exit tells the same. One that was never born has no exit.
      if (this.#process.pid !== undefined) return;
      this.#reason = `no process could be started: ${error.message}`;
      this.#onExit(null, null);
    });
  }

  /** Of one that was never born, 0. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get state(): 'starting' | 'ready' | 'draining' {
    return this.#state === 'starting' || this.#state === 'ready' ? this.#state : 'draining';
  }

  /** Whether it accepts, or is going to. */
  get isServing(): boolean {
    return this.#state === 'starting' || this.#state === 'ready';
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  get ageMs(): number {
    return performance.now() - this.startedAt;
  }

  get rssBytes(): number {
    return this.#rssBytes;
  }

  /** With more it is too large. */
  get rssMaxBytes(): number | null {
    return this.#rssMaxBytes;
  }

  /** The whole service ends: it drains. */
  stop(): void {
    this.#leave(STOP, supervisorPatienceMs(this.#config));
  }

  /** Another has taken its place: it drains, in no hurry. */
  retire(): void {
    this.#leave(RETIRE, retirePatienceMs(this.#config));
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  tell(report: SupervisorReport | LogLevelWish): void {
    this.#send(report);
  }

  /** The supervisor itself stood still: how long ago the last heartbeat came says nothing of the worker. */
  forgive(): void {
    this.#lastBeatAt = performance.now();
  }

  killIfStandingStill(): void {
    const ms = performance.now() - this.#lastBeatAt;
    if (this.#state !== 'ready' || ms < STANDSTILL_MS) return;
    this.#killFor(STOOD_STILL, Math.round(ms));
  }

  #onExit(code: number | null, signal: string | null): void {
    if (this.#state === 'gone') return;
    clearTimeout(this.#timer);
    const wasLeaving = this.#state === 'leaving';
    this.#state = 'gone';
    const reason = this.#reason ?? CAUSES[signal ?? ''];
    this.emit('exit', { code, signal, wasReady: this.#wasReady, wasLeaving, reason });
  }

  /** It drains, and nobody here has told it to. */
  #onLeaving(): void {
    if (this.#state !== 'ready') return;
    this.#state = 'leaving';
    this.#timer = this.#killAfter(supervisorPatienceMs(this.#config), 'it did not leave in time');
    this.emit('leaving');
  }

  #onMeasured(rssBytes: number): void {
    this.#rssBytes = rssBytes;
    const { maxWorkerRssMb } = this.#config;
    if (maxWorkerRssMb === 0 || this.#rssMaxBytes !== null) return;
    this.#rssMaxBytes = maxWorkerRssMb * 1024 * 1024;
    if (rssBytes > this.#rssMaxBytes) {
      // So would be whoever replaces it.
      this.#rssMaxBytes = rssBytes * TOO_LARGE_GROWTH;
      this.#log.warn(
        { maxWorkerRssMb, rssBytes, rssMaxBytes: this.#rssMaxBytes },
        'MAX_WORKER_RSS_MB is less than a worker needs when it starts: raise it',
      );
    }
    this.emit('measured');
  }

  #onReady(): void {
    if (this.#farewell !== undefined) {
      // It was told while it could not listen yet.
      this.#wasReady = true;
      this.#send(this.#farewell);
    }
    if (this.#state !== 'starting') return;
    clearTimeout(this.#timer);
    this.#state = 'ready';
    this.#wasReady = true;
    this.#log.info({ workerPid: this.#process.pid }, 'worker ready');
    this.emit('ready');
  }

  #leave(message: typeof STOP | typeof RETIRE, patienceMs: number): void {
    clearTimeout(this.#timer);
    this.#farewell = message;
    // One that does not serve yet listens to nothing yet, and has nothing to drain.
    if (this.#state === 'starting') this.#process.kill('SIGTERM');
    else this.#send(message);
    this.#state = 'leaving';
    this.#timer = this.#killAfter(patienceMs, 'it did not leave in time');
  }

  #killAfter(ms: number, reason: string): NodeJS.Timeout {
    const state = this.#state;
    return setTimeout(() => {
      // Where this process stood still itself, the news that there is no need to is still to be read.
      setImmediate(() => {
        if (this.#state === state) this.#killFor(reason, ms);
      });
    }, ms);
  }

  #killFor(reason: string, ms: number): void {
    this.#reason = reason;
    this.kill();
    this.#log.error({ ms, reason }, 'killed a worker');
  }

  #send(message: typeof STOP | typeof RETIRE | SupervisorReport | LogLevelWish): void {
    if (this.#process.connected) this.#process.send(message);
  }
}
