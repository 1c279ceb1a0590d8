import cluster, { type Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { createLogger } from '../app/log.ts';
import type { Config } from '../config/settings.ts';
import { supervisorPatienceMs } from '../config/timing.ts';
import { workerCount } from '../config/worker-count.ts';
import { EXIT_CONFIG } from '../entry.js';
import { firstAndSecond } from '../server/first-and-second.ts';
import { flushLog, logDestination } from '../server/log-destination.ts';
import { READY, STOP } from '../server/messages.ts';
import { replacementDelayMs, startBackoffMs } from './backoff.ts';

/** When so many starts have failed and none has succeeded, the service cannot start: better to say so than to go on. */
const BOOT_TRIES = 5;

/** A place for one worker; who fills it changes. */
type Place = {
  readonly number: number;
  worker: Worker | undefined;
  state: 'empty' | 'starting' | 'ready';
  startedAt: number;
  failures: number;
  timer: NodeJS.Timeout | undefined;
};

/**
 * Keeps the wanted number of workers alive. No request passes through it: the workers accept from one shared socket.
 *
 * It ends with 0 when all its workers drained completely, with 78 when a worker found the configuration wrong, and with 1
 * when the service cannot start, when a worker had to cut requests, or at once on a second signal.
 */
export class Supervisor {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #places: Place[];
  #wasEverReady = false;
  #failedStarts = 0;
  #isStopping = false;
  #exitCode = 0;

  static async run(config: Config): Promise<void> {
    new Supervisor(config, createLogger(config, 'supervisor', await logDestination())).#start();
  }

  private constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#places = Array.from({ length: workerCount(config) }, (_, number) => ({
      number,
      worker: undefined,
      state: 'empty',
      startedAt: 0,
      failures: 0,
      timer: undefined,
    }));
  }

  #start(): void {
    // The workers accept from the supervisor's socket themselves. Node's default, accepting here and handing over, costs
    // more, and a connection handed to a worker that is killed hangs for ever.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('worker.js', import.meta.url)),
      args: [],
      execArgv: process.execArgv.map((argument) => shared(argument, this.#places.length)),
    });
    const onSignal = firstAndSecond<[signal: string]>(
      (signal) => this.#obey(signal),
      (signal) => this.#insist(signal),
    );
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT']) process.on(signal, onSignal);
    process.on('SIGHUP', () => this.#log.info('SIGHUP ignored'));
    this.#log.info({ workers: this.#places.length }, 'starting');
    for (const place of this.#places) this.#fill(place);
  }

  #fill(place: Place): void {
    const worker = cluster.fork();
    Object.assign(place, { worker, state: 'starting', startedAt: performance.now() });
    place.timer = setTimeout(() => {
      this.#log.error({ workerId: worker.id, ms: this.#config.startTimeoutMs }, 'worker not ready in time: killing it');
      worker.process.kill('SIGKILL');
    }, this.#config.startTimeoutMs);
    worker.on('message', (message) => {
      if (message === READY) this.#onReady(place);
    });
    worker.on('exit', (code, signal) => this.#onExit(place, code, signal));
    // Sending to a worker that is just dying fails; its exit tells the same.
    worker.on('error', (error) => this.#log.debug({ workerId: worker.id, err: error }, 'worker channel'));
  }

  #onReady(place: Place): void {
    clearTimeout(place.timer);
    Object.assign(place, { state: 'ready', failures: 0 });
    this.#wasEverReady = true;
    this.#log.info({ workerId: place.worker?.id, pid: place.worker?.process.pid }, 'worker ready');
  }

  #onExit(place: Place, code: number | null, signal: string | null): void {
    clearTimeout(place.timer);
    const wasReady = place.state === 'ready';
    const id = place.worker?.id;
    Object.assign(place, { worker: undefined, state: 'empty' });
    if (this.#isStopping) {
      if (wasReady && code !== 0) this.#exitCode ||= 1;
      this.#endWhenEmpty();
      return;
    }
    if (!wasReady) {
      place.failures++;
      this.#failedStarts++;
      if (!this.#wasEverReady && (code === EXIT_CONFIG || this.#failedStarts >= BOOT_TRIES)) {
        this.#log.fatal({ workerId: id, code, signal, failedStarts: this.#failedStarts }, 'the service cannot start');
        this.#stop(code === EXIT_CONFIG ? EXIT_CONFIG : 1);
        return;
      }
    }
    const waitMs = wasReady ? replacementDelayMs(performance.now() - place.startedAt) : startBackoffMs(place.failures);
    this.#log.warn({ workerId: id, code, signal, wasReady, waitMs }, 'worker exited: replacing it');
    place.timer = setTimeout(() => this.#fill(place), waitMs);
  }

  #obey(signal: string): void {
    this.#log.info({ signal }, 'stopping');
    // The service may be stopping already, because it could not start.
    if (!this.#isStopping) this.#stop(0);
  }

  #insist(signal: string): void {
    this.#log.warn({ signal }, 'second signal: exiting at once');
    this.#killAll();
    this.#exit(1);
  }

  /** Lets every worker drain, and ends with `exitCode` when they have left. */
  #stop(exitCode: number): void {
    this.#exitCode = exitCode;
    this.#isStopping = true;
    for (const { worker, state, timer } of this.#places) {
      clearTimeout(timer);
      if (state === 'ready') worker?.send(STOP);
      else worker?.process.kill('SIGTERM');
    }
    const patience = supervisorPatienceMs(this.#config);
    setTimeout(() => {
      this.#log.error({ ms: patience }, 'workers did not leave in time: killing them');
      this.#exitCode ||= 1;
      this.#killAll();
    }, patience).unref();
    this.#endWhenEmpty();
  }

  #endWhenEmpty(): void {
    if (this.#places.some(({ worker }) => worker !== undefined)) return;
    this.#log.info({ code: this.#exitCode }, 'stopped');
    this.#exit(this.#exitCode);
  }

  #killAll(): void {
    for (const { worker } of this.#places) worker?.process.kill('SIGKILL');
  }

  #exit(code: number): void {
    flushLog().finally(() => process.exit(code));
  }
}

/** What is for all workers together, for one: `--max-old-space-size-percentage=60` is 30 for each of two. */
function shared(argument: string, workers: number): string {
  return argument.replace(
    /^(--max-old-space-size-percentage=)([\d.]+)$/,
    (_whole, option: string, percentage: string) => option + Number(percentage) / workers,
  );
}
