import cluster from 'node:cluster';
import { buildApp } from '../app/app.ts';
import { loadLateModules } from '../app/late-modules.ts';
import type { SupervisorState } from '../app/operations/supervisor-state.ts';
import type { App } from '../app/types.ts';
import type { Config } from '../config/settings.ts';
import { takeSignals } from '../entry.js';
import { createLogger } from '../log.ts';
import { Connections } from './connections.ts';
import { affordableConnections, opsConnections } from './descriptors.ts';
import { arrangeEnd, type End } from './end.ts';
import { LinesOfTurn } from './lines-of-turn.ts';
import { type ListenAt, listen } from './listen.ts';
import { logDestination } from './log-destination.ts';
import { LogLevel } from './log-level.ts';
import { keepMemoryReadable } from './memory-usage.ts';
import { READY, tellParent } from './messages.ts';
import { Recorder } from './recorder.ts';
import { Siblings } from './siblings.ts';
import { SiblingsFolder } from './siblings-folder.ts';
import { isTerminalGone } from './terminal.ts';
import { tickShape } from './tick-shape.ts';

/** A start is over by then, also that of the siblings beside it. */
const LATE_MS = 5000;

export type ServeOptions = {
  /** The signals that end the process; a supervised worker leaves the terminal's Ctrl-C to its supervisor. */
  readonly signals?: readonly NodeJS.Signals[];
  /** Whether other processes accept from the same socket, and go on when this one ends. */
  readonly isSocketShared?: boolean;
  /** Where to listen, if not as the configuration says. */
  readonly listenAt?: Partial<ListenAt>;
  /** Which of several processes this is, for the log and `/health`. */
  readonly worker?: string;
  /** What the supervisor has told of itself, where there is one. */
  readonly supervisor?: () => SupervisorState | undefined;
  /** Whether other processes of the same parent are the same service. */
  readonly hasSiblings?: boolean;
};

/** What can be wanted of a process that serves. */
export type Served = {
  readonly end: End;
  readonly logLevel: LogLevel;
};

/**
 * Serves until a signal comes, then drains and ends the process. Resolves when the service is ready, and tells the parent
 * process so with the word `ready`.
 *
 * @throws when it cannot start or listen; the process is then to end
 */
export async function serve(config: Config, options: ServeOptions = {}): Promise<Served> {
  const { signals = ['SIGINT', 'SIGTERM', 'SIGQUIT'], isSocketShared = false, worker = 'single' } = options;
  tickShape.keep();
  keepMemoryReadable();
  const destination = await logDestination();
  const log = createLogger(config, worker, destination);
  const requestLog = createLogger(config, worker, new LinesOfTurn(destination));
  const logLevel = new LogLevel([log, requestLog]);
  const { supervisor = () => undefined, hasSiblings = false } = options;
  let siblings: Siblings | undefined;
  let recorder: Recorder | undefined;
  const app = buildApp(config, {
    log,
    requestLog,
    worker,
    supervisor,
    askSiblings: async (question) => siblings?.ask(question) ?? { answers: [], missing: 0 },
    readRecordings: async () => recorder?.read() ?? [],
  });
  const { opsServer } = app;
  const connections = new Connections(app.server, opsServer ? [opsServer] : [], function* () {
    for (const { request } of app.requests.open) yield request.raw.socket;
  });
  const end = arrangeEnd(app, connections, config, isSocketShared);

  for (const signal of signals) process.on(signal, () => end.onSignal(signal));
  takeSignals();
  process.on('SIGHUP', () => {
    if (isSocketShared) return;
    if (isTerminalGone()) end.onSignal('SIGHUP');
    else log.info('SIGHUP: nothing to reload in a single process');
  });
  process.on('SIGUSR2', () => logLevel.toggle());
  cluster.worker?.on('disconnect', () => {
    // Else node:cluster exits right after this, whatever is in flight.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
    end.onParentLost();
  });

  await app.ready();
  const folder = hasSiblings ? siblingsFolder(app) : undefined;
  if (folder) siblings = await joinSiblings(app, folder);
  if (!end.isEnding()) await listen(app, { ...config, ...options.listenAt });
  boundConnections(app, config);
  if (!end.isEnding()) {
    app.lifecycle.advance('ready');
    recorder = new Recorder(app, worker, folder);
    log.info(
      {
        ...Object(app.server.address()),
        opsPort: Object(opsServer?.address()).port,
        startedMs: Math.round(performance.now()),
      },
      'ready',
    );
    tellParent(READY);
    setTimeout(() => loadRest(app), LATE_MS).unref();
  }
  return { end, logLevel };
}

async function loadRest(app: App): Promise<void> {
  try {
    await loadLateModules();
    app.log.debug('loaded what is needed late');
  } catch (error) {
    app.log.warn({ err: error }, 'a part of the service cannot be loaded: are its files being replaced?');
  }
}

/** Without it, this process tells what it knows of itself. */
function siblingsFolder(app: App): SiblingsFolder | undefined {
  try {
    return new SiblingsFolder(process.ppid, process.env.name ?? '');
  } catch (error) {
    tellAlone(app, error);
    return undefined;
  }
}

async function joinSiblings(app: App, folder: SiblingsFolder): Promise<Siblings | undefined> {
  try {
    return await Siblings.join(folder, { metrics: () => app.metrics.text() });
  } catch (error) {
    tellAlone(app, error);
    return undefined;
  }
}

function tellAlone(app: App, error: unknown): void {
  app.log.warn(
    { err: error },
    'the others do not find this process: there is no place for its files in TMPDIR, or the path is too long for a socket',
  );
}

/** Refusing the next connection is better than running out of descriptors, when nothing works any more. */
function boundConnections(app: App, config: Config): void {
  const { maxConnections } = config;
  const affordable = affordableConnections(config);
  if (app.opsServer) app.opsServer.maxConnections = opsConnections(config);
  if (affordable >= maxConnections) return;
  app.server.maxConnections = affordable;
  app.log.warn(
    { maxConnections, affordable },
    'fewer connections than MAX_CONNECTIONS: this process may not open enough files; raise its limit (ulimit -n)',
  );
}
