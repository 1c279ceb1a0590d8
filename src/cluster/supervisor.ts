import type { ChildProcess } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import type { Logger } from 'pino';
import type { Config } from '../config/settings.ts';
import { workerCount } from '../config/worker-count.ts';
import { EXIT_CONFIG, takeSignals } from '../entry.js';
import { createLogger } from '../log.ts';
import { firstAndSecond } from '../server/first-and-second.ts';
import { cannotListen } from '../server/listen.ts';
import { flushLog, logDestination } from '../server/log-destination.ts';
import { LogLevel } from '../server/log-level.ts';
import { HEARTBEAT_MS, READY, tellParent } from '../server/messages.ts';
import { isTerminalGone } from '../server/terminal.ts';
import { forkWorker } from './fork.ts';
import { Place } from './place.ts';
import { Replacements } from './replacements.ts';
import { Report } from './report.ts';
import { SharedSocket } from './shared-socket.ts';
import { type Exit, STOOD_STILL, WorkerProcess } from './worker-process.ts';

/** When so many starts of each worker have failed and none has succeeded, it is better to say so than to go on. */
const BOOT_TRIES = 3;

const WORKERS_MAX = 1024;

/**
 * Keeps the wanted number of workers alive. No request passes through it: the workers accept from one shared socket,
 * unless DISPATCH says otherwise.
 *
 * It ends with 0 when all its workers drained completely, with 78 when a worker found the configuration wrong, and with 1
 * when the service cannot start, when a worker had to cut requests, or at once on a second signal.
 */
export class Supervisor {
  readonly #config: Config;
  readonly #log: Logger;
  /** The ports as they are, where 0 asked for any. */
  readonly #ports: NodeJS.ProcessEnv;
  /** For PORT, and for OPS_PORT where there is one. */
  readonly #sockets: readonly SharedSocket[];
  readonly #replacements: Replacements;
  readonly #report: Report;
  readonly #logLevel: LogLevel;
  readonly #places: Place[] = [];
  /** All that run, those that are leaving too. */
  readonly #workers = new Set<WorkerProcess>();
  #forked = 0;
  #wasEverReady = false;
  #failedStarts = 0;
  #isStopping = false;
  #exitCode = 0;

  /** @throws {Error} that says what to do when the service cannot listen where it is to */
  static async run(config: Config): Promise<void> {
    const log = createLogger(config, 'supervisor', await logDestination());
    new Supervisor(config, log, await bind(config)).#start();
  }

  private constructor(config: Config, log: Logger, sockets: readonly SharedSocket[]) {
    this.#config = config;
    this.#log = log;
    const [port = config.port, opsPort = config.opsPort] = sockets.map((socket) => socket.port);
    this.#ports = { PORT: String(port), OPS_PORT: String(opsPort) };
    this.#sockets = config.dispatch === 'shared' ? sockets : [];
    if (config.dispatch !== 'shared') for (const socket of sockets) socket.close();
    this.#logLevel = new LogLevel([log]);
    this.#report = new Report(this.#places, this.#workers);
    this.#replacements = new Replacements(this.#places, this.#workers, log, this.#report);
  }

  #start(): void {
    const workers = workerCount(this.#config);
    const onSignal = firstAndSecond<[signal: string]>(
      (signal) => this.#obey(signal),
      (signal) => this.#insist(signal),
    );
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT']) process.on(signal, onSignal);
    takeSignals();
    process.on('uncaughtException', (failure) => {
      this.#log.fatal({ err: failure }, 'uncaught failure: exiting, the workers drain');
      this.#exit(1);
    });
    process.on('SIGHUP', () => (isTerminalGone() ? onSignal('SIGHUP') : this.#replacements.reload()));
    process.on('SIGUSR2', () => {
      this.#logLevel.toggle();
      for (const worker of this.#workers) worker.tell({ isDebug: this.#logLevel.isDebug });
    });
    process.on('SIGTTIN', () => this.#scale(+1));
    process.on('SIGTTOU', () => this.#scale(-1));
    this.#log.info({ workers }, 'starting');
    for (let number = 0; number < workers; number++) this.#addPlace();
    this.#watch();
  }

  #addPlace(): void {
    this.#places.push(new Place(() => this.#fork(), this.#log));
  }

  #fork(): WorkerProcess {
    const id = ++this.#forked;
    let child: ChildProcess;
    try {
      child = forkWorker(id, this.#config, this.#ports, this.#sockets);
    } catch (error) {
      const failure = cannotListen(error, this.#config);
      this.#onFailedStart({ err: failure }, 1);
      throw failure;
    }
    const worker = new WorkerProcess(id, child, this.#config, this.#log);
    this.#workers.add(worker);
    this.#report.tell();
    worker.on('ready', () => {
      if (!this.#wasEverReady) tellParent(READY);
      this.#wasEverReady = true;
      this.#report.tell();
      worker.tell({ isDebug: this.#logLevel.isDebug });
    });
    worker.on('measured', () => this.#report.tell());
    // By itself: where the supervisor wants it to, it does not say so.
    worker.on('leaving', () => this.#report.restarted('left'));
    worker.on('exit', (exit) => this.#onExit(worker, exit));
    return worker;
  }

  #onExit(worker: WorkerProcess, { code, signal, wasReady, wasLeaving, reason }: Exit): void {
    this.#workers.delete(worker);
    this.#report.tell();
    const details = { workerId: worker.id, code, signal, reason };
    if (this.#isStopping) {
      if (signal === 'SIGKILL' || (wasReady && code !== 0)) this.#exitCode ||= 1;
      this.#endWhenEmpty();
    } else if (!wasReady) {
      if (!wasLeaving) this.#report.restarted('start_failed');
      // Nobody accepts, nor soon will: better refused than kept waiting.
      if (![...this.#workers].some(({ isServing }) => isServing)) this.#letGoOfSockets();
      this.#onFailedStart(details, code === EXIT_CONFIG ? EXIT_CONFIG : 1);
    } else if (!wasLeaving) {
      this.#report.restarted(reason === STOOD_STILL ? 'stood_still' : signal === null ? 'exited' : 'killed');
    } else if (code !== 0) {
      this.#log.warn(details, 'a worker that was leaving ended with a failure');
    }
  }

  /** Before anything has ever served, some failures in a row are the end. */
  #onFailedStart(details: object, exitCode: number): void {
    if (this.#wasEverReady || this.#isStopping) return;
    const failedStarts = ++this.#failedStarts;
    if (exitCode !== EXIT_CONFIG && failedStarts < BOOT_TRIES * this.#places.length) return;
    this.#log.fatal({ ...details, failedStarts }, 'the service cannot start');
    this.#stop(exitCode);
  }

  #scale(change: 1 | -1): void {
    const workers = this.#places.length + change;
    if (this.#isStopping) return;
    if (workers < 1 || workers > WORKERS_MAX) {
      this.#log.warn({ workers: this.#places.length }, 'cannot scale any further');
      return;
    }
    this.#log.info({ workers }, 'scaling');
    if (change === 1) this.#addPlace();
    else this.#removePlace();
    this.#report.scaled();
  }

  /** One where nobody serves, if there is one; else the last, which is what an index of -1 means to splice. */
  #removePlace(): void {
    const index = this.#places.findLastIndex(({ current }) => !current?.isReady);
    const [place] = this.#places.splice(index, 1);
    for (const worker of place?.abandon() ?? []) worker.retire();
  }

  /** Looks after the workers once a second. */
  #watch(): void {
    let lastAt = performance.now();
    setInterval(() => {
      const now = performance.now();
      const wasStandingStill = now - lastAt > 3 * HEARTBEAT_MS;
      lastAt = now;
      for (const worker of this.#workers) {
        // Heartbeats that came meanwhile are still to be read.
        if (wasStandingStill) worker.forgive();
        else worker.killIfStandingStill();
      }
      this.#replacements.replaceTooLarge();
    }, HEARTBEAT_MS).unref();
  }

  #obey(signal: string): void {
    // It may be already, because it could not start.
    if (this.#isStopping) return;
    this.#log.info({ signal }, 'stopping');
    this.#stop(0);
  }

  #insist(signal: string): void {
    this.#log.warn({ signal }, 'second signal: exiting at once');
    for (const worker of this.#workers) worker.kill();
    this.#exit(1);
  }

  /** Lets every worker drain, and ends with `exitCode` when they have left. */
  #stop(exitCode: number): void {
    this.#exitCode = exitCode;
    this.#isStopping = true;
    this.#replacements.end();
    for (const place of this.#places) place.abandon();
    // The workers are to be its last owners: they empty its queue.
    this.#letGoOfSockets();
    for (const worker of this.#workers) worker.stop();
    this.#endWhenEmpty();
  }

  #letGoOfSockets(): void {
    for (const socket of this.#sockets) socket.close();
  }

  #endWhenEmpty(): void {
    if (this.#workers.size > 0) return;
    this.#log.info({ code: this.#exitCode }, 'stopped');
    this.#exit(this.#exitCode);
  }

  #exit(code: number): void {
    flushLog().finally(() => process.exit(code));
  }
}

/** Binds the sockets that the workers are to share; for other ways of dispatch it shows whether the ports are free, and which. */
async function bind({ host, port, opsPort }: Config): Promise<SharedSocket[]> {
  if (!SharedSocket.isPossible) return [];
  const sockets = [await bindOne(host, port, 'PORT')];
  if (opsPort !== 'same') sockets.push(await bindOne(host, opsPort, 'OPS_PORT'));
  return sockets;
}

async function bindOne(host: string, port: number, setting: string): Promise<SharedSocket> {
  try {
    const { address } = await lookup(host);
    return new SharedSocket(address, port);
  } catch (error) {
    throw cannotListen(error, { host, port }, setting);
  }
}
