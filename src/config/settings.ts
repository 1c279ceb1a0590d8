import type { XStatic } from 'typebox/schema';

/**
 * Every setting, once: type, bounds, default and explanation. The environment variable of `drainTimeoutMs` is
 * `DRAIN_TIMEOUT_MS`, and so on for all. The validation, the types, `--explain-config` and the README's table come from
 * here.
 *
 * It is a JSON Schema literal whose static type TypeBox infers: nothing of TypeBox is loaded at run time, see
 * docs/decisions/0002-schemas.md. `writeOnly` marks a secret: its value is never shown. Of a `uri`, credentials and query are not.
 */
export const settings = {
  type: 'object',
  properties: {
    host: {
      type: 'string',
      minLength: 1,
      default: '0.0.0.0',
      description: 'Address to listen on. `::` is every address, IPv6 and IPv4.',
    },
    port: {
      type: 'integer',
      minimum: 0,
      maximum: 65535,
      default: 3000,
      description: 'TCP port to listen on. 0 takes any free one; the log says which.',
    },
    opsPort: {
      anyOf: [{ const: 'same' }, { type: 'integer', minimum: 0, maximum: 65535 }],
      default: 'same',
      description:
        'TCP port on which operations (`/livez`, `/readyz`, `/health`, `/metrics`, `/status`) are answered, there only and nothing else. `same`: on PORT.',
    },
    workers: {
      anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 1, maximum: 1024 }],
      default: 'auto',
      description:
        'Processes that serve. `auto` is one per core that this process may use (affinity and cgroup quotas count); 1 serves in the first process, with no supervisor.',
    },
    dispatch: {
      enum: ['shared', 'round-robin', 'reuse-port'],
      default: 'shared',
      description:
        'How connections reach the workers: all accept from one socket, which outlives them; the supervisor accepts and hands over; or each has a socket of its own. [Compared](docs/decisions/0006-dispatch.md).',
    },
    logLevel: {
      enum: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      default: 'info',
      description: 'The lowest level that is logged.',
    },
    requestLog: {
      type: 'boolean',
      default: true,
      description:
        'One log line per request. If off, only requests that failed (5xx, but not refusals) or took longer than a second are logged, and the others at level `debug`.',
    },
    keepAliveTimeoutMs: {
      type: 'integer',
      minimum: 1,
      maximum: 3_600_000,
      default: 72_000,
      description:
        'How long an idle connection is kept. Clients are told less, DRAIN_IDLE_MS, so that they never race a drain. Keep it above the idle time-out of the proxy in front (nginx and ALB: 60 s), or the proxy answers 502 now and then.',
    },
    maxConnections: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      default: 16_000,
      description:
        'Connections that one process holds at most; it closes further ones at once. Fewer, with a warning, if it may not open that many files.',
    },
    maxQueueDelayMs: {
      type: 'integer',
      minimum: 0,
      maximum: 60_000,
      default: 20,
      description:
        'Under overload, a request that has waited this long in its turn of the event loop is refused with 503, so that others are answered in time. [Why](docs/decisions/0010-overload.md). 0: nothing is refused for overload, nor for memory or too many requests of one route.',
    },
    trustProxy: {
      type: 'string',
      default: '',
      description:
        'Whose `X-Forwarded-*` headers to believe: a number of proxies in front (`1`), or their addresses and ranges, separated by commas (`10.0.0.0/8,loopback`). Empty: nobody’s.',
    },
    startTimeoutMs: {
      type: 'integer',
      minimum: 100,
      maximum: 600_000,
      default: 10_000,
      description: 'A worker that is not ready by then is killed and started again.',
    },
    drainDelayMs: {
      type: 'integer',
      minimum: 0,
      maximum: 600_000,
      default: 0,
      description:
        'For this long after the signal, the process says that it is not ready but still accepts connections, so that load balancers notice. 5000 suits Kubernetes.',
    },
    drainIdleMs: {
      type: 'integer',
      minimum: 0,
      maximum: 600_000,
      default: 3000,
      description:
        'Once it has stopped accepting, idle connections may still bring a last request, until none has come for this long.',
    },
    drainTimeoutMs: {
      type: 'integer',
      minimum: 1,
      maximum: 600_000,
      default: 8000,
      description:
        'This long after it has stopped accepting, requests that are still open are cut, and the exit code is 1. Has to be more than DRAIN_IDLE_MS.',
    },
    reloadIdleMs: {
      type: 'integer',
      minimum: 0,
      maximum: 600_000,
      default: 30_000,
      description:
        'DRAIN_IDLE_MS for a worker that a reload has replaced. Nobody waits for it, so clients may take their time.',
    },
    maxWorkerRssMb: {
      type: 'integer',
      minimum: 0,
      maximum: 1_000_000,
      default: 0,
      description:
        'A worker whose resident memory grows above this many MiB is replaced as in a reload, by the supervisor or PM2; a single process is not. 0: never.',
    },
    databaseUrl: {
      type: 'string',
      minLength: 1,
      format: 'uri',
      default: 'file:data/events.db',
      description:
        'Where events are kept: `file:` and the path of an SQLite database, which is made with its folder where there is none; all processes use the same. On a local disk: network file systems lock unreliably. `file::memory:` keeps them nowhere, each process its own. Or `postgres://user:password@host:5432/database`, for several machines.',
    },
    otelExporterOtlpEndpoint: {
      type: 'string',
      format: 'uri',
      default: '',
      description:
        'Where traces go: a receiver of OTLP over HTTP, such as `http://localhost:4318`, to whose path `/v1/traces` is added. Empty: there are no traces, and OpenTelemetry’s SDK is not loaded. [More](docs/tracing.md).',
    },
    otelTracesSampler: {
      enum: [
        'parentbased_always_on',
        'parentbased_always_off',
        'parentbased_traceidratio',
        'always_on',
        'always_off',
        'traceidratio',
      ],
      default: 'parentbased_always_on',
      description:
        'Which requests are traced: all, none, or the part that OTEL_TRACES_SAMPLER_ARG says. With `parentbased_…` this is for requests without a `traceparent`; others are traced where that says so.',
    },
    otelTracesSamplerArg: {
      type: 'number',
      minimum: 0,
      maximum: 1,
      default: 1,
      description: 'The part of requests that `…traceidratio` traces: 0.01 is one in a hundred.',
    },
  },
} as const;

/** The service's whole configuration, checked; each setting has a default. Times are whole milliseconds. */
export type Config = Readonly<Required<XStatic<typeof settings>>>;

export type SettingName = keyof Config;

export const settingNames = Object.keys(settings.properties) as readonly SettingName[];

/** `drainTimeoutMs` is read from `DRAIN_TIMEOUT_MS`. */
export function variableOf(name: SettingName): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

export const defaults = Object.freeze(
  Object.fromEntries(settingNames.map((name) => [name, settings.properties[name].default])),
) as Config;
