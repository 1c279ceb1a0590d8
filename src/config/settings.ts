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
      description: 'Address to listen on. `::` means every address, IPv6 and IPv4.',
    },
    port: {
      type: 'integer',
      minimum: 0,
      maximum: 65535,
      default: 3000,
      description: 'TCP port to listen on. 0 picks a free one; the log says which.',
    },
    opsPort: {
      anyOf: [{ const: 'same' }, { type: 'integer', minimum: 0, maximum: 65535 }],
      default: 'same',
      description:
        'TCP port for operations (`/livez`, `/readyz`, `/health`, `/metrics`, `/status`): they are then answered only there, nothing else is, and `/docs` does not list them. `same`: they are answered on PORT.',
    },
    workers: {
      anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 1, maximum: 1024 }],
      default: 'auto',
      description:
        'Number of processes that serve. `auto`: one per core that the service may use (CPU affinity and cgroup quotas count). 1: a single process, without a supervisor.',
    },
    dispatch: {
      enum: ['shared', 'round-robin', 'reuse-port'],
      default: 'shared',
      description:
        'How connections reach the workers. `shared`: all accept from one socket, which outlives them. `round-robin`: the supervisor accepts and hands over; when the whole service stops, connections that wait are reset. `reuse-port`: each has a socket of its own. [Compared](docs/decisions/0006-dispatch.md).',
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
        'Whether each request is logged. If false, only requests that failed (5xx, but not refusals) or took longer than a second are, and the others at level `debug`.',
    },
    keepAliveTimeoutMs: {
      type: 'integer',
      minimum: 1,
      maximum: 3_600_000,
      default: 72_000,
      description:
        'How long an idle connection is kept open. Clients are told a shorter time, DRAIN_IDLE_MS, so that they never race a drain. Keep it above the idle timeout of the proxy in front (nginx and ALB: 60 s), or the proxy will answer 502 now and then.',
    },
    maxConnections: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      default: 16_000,
      description:
        'Most connections that one process keeps; it closes any beyond that at once. If its limit on open files is lower, that counts, and it logs a warning.',
    },
    maxQueueDelayMs: {
      type: 'integer',
      minimum: 0,
      maximum: 60_000,
      default: 20,
      description:
        'Under overload, a request that has waited this long in its turn of the event loop is refused with 503, so that the others are answered in time; in a crowd that soon passes, after 2.5 times as long; where requests take less than a millisecond, after several times as long; in the first second of CPU time of a process, never. [Why](docs/decisions/0010-overload.md). 0: no request is refused, neither for overload, nor for memory, nor because its route has too many.',
    },
    trustProxy: {
      type: 'string',
      default: '',
      description:
        'Whose `X-Forwarded-*` headers to trust: the number of proxies in front (`1`), or their addresses and ranges, separated by commas (`10.0.0.0/8,loopback`). Empty: nobody’s.',
    },
    startTimeoutMs: {
      type: 'integer',
      minimum: 100,
      maximum: 600_000,
      default: 10_000,
      description: 'A worker that is not ready after this time is killed and started again.',
    },
    drainDelayMs: {
      type: 'integer',
      minimum: 0,
      maximum: 600_000,
      default: 0,
      description:
        'For this long after the signal, `/readyz` answers 503 but connections are still accepted, so that load balancers have time to notice. 5000 suits Kubernetes.',
    },
    drainIdleMs: {
      type: 'integer',
      minimum: 0,
      maximum: 600_000,
      default: 3000,
      description:
        'After the process has stopped accepting, idle connections may still bring a last request. Once none has come for this long, they are closed.',
    },
    drainTimeoutMs: {
      type: 'integer',
      minimum: 1,
      maximum: 600_000,
      default: 8000,
      description:
        'Requests that are still open this long after the process has stopped accepting are cut, and the exit code is 1. It must be more than DRAIN_IDLE_MS.',
    },
    reloadIdleMs: {
      type: 'integer',
      minimum: 0,
      maximum: 600_000,
      default: 30_000,
      description:
        'The same as DRAIN_IDLE_MS, for a worker that a reload has replaced. Nothing waits for that one to end, so its clients may take their time.',
    },
    maxWorkerRssMb: {
      type: 'integer',
      minimum: 0,
      maximum: 1_000_000,
      default: 0,
      description:
        'A worker whose resident memory grows above this many MiB is replaced as in a reload, by the supervisor or by PM2. A single process is never replaced. 0: no worker is.',
    },
    databaseUrl: {
      type: 'string',
      minLength: 1,
      format: 'uri',
      default: 'file:data/events.db',
      description:
        'Where events are stored: `file:` and the path of an SQLite database, which all processes share; it and its folder are created if missing. It must be on a local disk, because network file systems lock unreliably. `file::memory:`: in memory only, separately in each process. `postgres://user:password@host:5432/database`: in PostgreSQL, for several machines.',
    },
    otelExporterOtlpEndpoint: {
      type: 'string',
      format: 'uri',
      default: '',
      description:
        'Where traces are sent: a receiver of OTLP over HTTP, such as `http://localhost:4318`; `/v1/traces` is appended. Empty: nothing is traced, and OpenTelemetry’s SDK is not loaded. [More](docs/tracing.md).',
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
        'Which requests are traced: all, none, or the fraction in OTEL_TRACES_SAMPLER_ARG. With `parentbased_…`, this decides only for requests without a `traceparent`; for the others, the `traceparent` does.',
    },
    otelTracesSamplerArg: {
      type: 'number',
      minimum: 0,
      maximum: 1,
      default: 1,
      description: 'The fraction of requests that `…traceidratio` traces: 0.01 is one in a hundred.',
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
