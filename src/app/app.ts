import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyBaseLogger } from 'fastify';
import packageJson from '../../package.json' with { type: 'json' };
import { type Config, defaults } from '../config/settings.ts';
import { createLogger } from '../log.ts';
import { Checks } from './checks.ts';
import { answerErrors, sendError } from './errors/answer-errors.ts';
import { answerUnmatched } from './errors/not-found.ts';
import { events } from './features/events/events.ts';
import { hello } from './features/hello.ts';
import { random } from './features/random.ts';
import { sort } from './features/sort/sort.ts';
import { reportDrops } from './http/dropped-connections.ts';
import { FailedStreams } from './http/failed-streams.ts';
import { hostRefusal } from './http/host.ts';
import { tellKeepAlive } from './http/keep-alive.ts';
import { OpsPort } from './http/ops-port.ts';
import { requestId } from './http/request-id.ts';
import { Requests } from './http/requests.ts';
import { SocketErrors } from './http/socket-errors.ts';
import { cutStalledAnswers } from './http/stalled-answers.ts';
import { readTextValues } from './http/text-values.ts';
import { Lifecycle } from './lifecycle.ts';
import {
  BODY_MAX_BYTES,
  HEADERS_MAX_BYTES,
  HEADERS_TIMEOUT_MS,
  PARAMETER_MAX_BYTES,
  REQUEST_TIMEOUT_MS,
  TIMEOUT_CHECK_INTERVAL_MS,
} from './limits.ts';
import { Metrics } from './metrics/metrics.ts';
import { apiReference, listRoutes } from './operations/api-reference/api-reference.ts';
import { forUsers } from './operations/for-users.ts';
import { health } from './operations/health.ts';
import { type AskSiblings, metricsRoute } from './operations/metrics.ts';
import { ServiceMetrics } from './operations/service-metrics.ts';
import type { ReadRecordings } from './operations/status/overview.ts';
import { addProcessVitals } from './operations/status/process-vitals.ts';
import { status } from './operations/status/status.ts';
import type { SupervisorState } from './operations/supervisor-state.ts';
import { shedOverload } from './overload/shed-overload.ts';
import { traceRequests } from './tracing/trace-requests.ts';
import type { App } from './types.ts';
import { Vitals } from './vitals.ts';

declare module 'fastify' {
  interface FastifyInstance {
    readonly lifecycle: Lifecycle;
    readonly requests: Requests;
    readonly metrics: Metrics;
    readonly vitals: Vitals;
    /** The server for operations, where they have one of their own. */
    readonly opsServer: Server | undefined;
  }
}

/** What the process that runs the app knows and the app does not. */
export type Surroundings = {
  /** Where the log goes; standard output otherwise. */
  readonly log?: FastifyBaseLogger;
  /** Where the line of each request goes, also of a malformed one; the same otherwise. */
  readonly requestLog?: FastifyBaseLogger;
  /** Which of several processes this is. */
  readonly worker?: string;
  /** What the supervisor has told of itself, where there is one. */
  readonly supervisor?: () => SupervisorState | undefined;
  /** The other processes of the service, where there are any. */
  readonly askSiblings?: AskSiblings;
  /** What this process and the others have noted of themselves, if they do. */
  readonly readRecordings?: ReadRecordings;
};

/**
 * The service, complete, with every option that it runs with: what is tested is what is shipped. It does not listen:
 * `src/server` does that, and `supertest(app.server)` after `await app.ready()`.
 *
 * @param overrides settings other than the defaults, already checked (`readConfig` reads and checks the environment)
 */
export function buildApp(overrides: Partial<Config> = {}, surroundings: Surroundings = {}): App {
  const config: Config = { ...defaults, ...overrides };
  const { worker = 'single', supervisor = () => undefined } = surroundings;
  const { askSiblings = async () => ({ answers: [], missing: 0 }), readRecordings = async () => [] } = surroundings;
  const log = surroundings.log ?? createLogger(config, worker);
  const { requestLog = log } = surroundings;
  const lifecycle = new Lifecycle();
  const metrics = new Metrics(worker);
  const checks = new Checks();
  metrics.watchChecks(checks);
  const requests = new Requests(config, { log, requestLog }, lifecycle, metrics);
  const socketErrors = new SocketErrors(config, requestLog, metrics, requests);
  const vitals = new Vitals();

  const http = {
    maxHeaderSize: HEADERS_MAX_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
    // Asked for below: Node would answer without a body, an id or a log line.
    requireHostHeader: false,
  };
  const app = Fastify({
    // With one of its own Fastify makes a child logger and two listeners for each request. Each gets its log from Requests.
    logger: false,
    logController: new FailedStreams(requests),
    genReqId: requestId,
    requestIdHeader: false,
    trustProxy: trustProxyOption(config.trustProxy),
    bodyLimit: BODY_MAX_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: config.keepAliveTimeoutMs,
    pluginTimeout: config.startTimeoutMs,
    http,
    routerOptions: { maxParamLength: PARAMETER_MAX_BYTES },
    // Coercion is text-values.ts's. What a client sends beyond the schema is left alone, not silently removed.
    // Compiling the schema of schemas took a tenth of the start; keywords that are unknown, or have a value of a wrong type, Ajv
    // refuses all the same.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, validateSchema: false, meta: false } },
    // A request that arrives while the app closes is answered like any other: it may be the last on its connection.
    return503OnClosing: false,
    // Errors that the router finds before there is a route, and so before any hook.
    frameworkErrors: (error, request, reply) => {
      requests.begin(request, reply);
      sendError(error, request, reply, requests);
    },
    clientErrorHandler: (error, socket) => socketErrors.onClientError(error, socket),
  });
  app.log = log;
  app.server.maxConnections = config.maxConnections;

  // Schemas of answers are documentation, checked by the tests: docs/decisions/0013-api-reference.md.
  app.setSerializerCompiler(() => JSON.stringify);
  app.decorate('lifecycle', lifecycle);
  app.decorate('requests', requests);
  app.decorate('metrics', metrics);
  app.decorate('vitals', vitals);
  app.addHook('onRequest', (request, reply, done) => {
    // Its connection ends with the answer before it, and it is not carried out: the client may ask it again elsewhere.
    if (!requests.begin(request, reply)) return;
    const refusal = hostRefusal(request.raw);
    if (refusal !== undefined) done(refusal);
    // By the next turn all requests that were pipelined with this one have begun, and the last of them is known.
    else if (lifecycle.state === 'draining') setImmediate(done);
    else done();
  });

  traceRequests(app, config, requests, packageJson);

  const opsPort = config.opsPort === 'same' ? undefined : new OpsPort(app, http);
  app.decorate('opsServer', opsPort?.server);
  for (const server of opsPort ? [app.server, opsPort.server] : [app.server]) {
    tellKeepAlive(server, config);
    reportDrops(server, log, server === app.server ? metrics : undefined);
    // An expectation other than 100-continue may be ignored (RFC 9110, 10.1.1). Node would answer 417 with nothing in it.
    server.on('checkExpectation', app.routing);
    server.on('connect', (request) => socketErrors.onConnect(request));
  }
  opsPort?.server.on('clientError', (error, socket) => socketErrors.onClientError(error, socket as Socket));
  cutStalledAnswers(app, requests);
  answerErrors(app, requests);
  answerUnmatched(app, opsPort);
  readTextValues(app);
  const supervised = () => supervisor()?.workers.find((each) => each.worker === worker);
  shedOverload(app, config, requests, metrics, () => supervised()?.rssMaxBytes ?? null);
  const routes = listRoutes(app);
  const isForUsers = forUsers(routes);
  metrics.watchOutcomes(isForUsers);
  addProcessVitals(vitals, { server: app.server, lifecycle, requests, metrics, isForUsers });

  app.register(health, { lifecycle, checks, version: packageJson.version, worker, supervisor });
  app.register(apiReference, { routes, about: packageJson, hasOperations: opsPort === undefined });
  app.register(metricsRoute, { metrics, service: new ServiceMetrics(supervisor), supervisor, askSiblings });
  app.register(status, { vitals, readRecordings, supervisor, about: packageJson });

  app.register(hello);
  app.register(random);
  app.register(sort, { registry: metrics.registry, vitals, config });
  app.register(events, { registry: metrics.registry, vitals, checks, config });

  return app;
}

function trustProxyOption(setting: string): boolean | string | ((address: string, hop: number) => boolean) {
  if (setting === '') return false;
  return /^\d+$/.test(setting) ? (_address, hop) => hop < Number(setting) : setting;
}
