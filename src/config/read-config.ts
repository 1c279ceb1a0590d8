import { isIP } from 'node:net';
import { type Config, type SettingName, settingNames, settings, variableOf } from './settings.ts';
import { timingProblems } from './timing.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Every mistake in the environment at once; each of `problems` is a sentence that says what to do. */
export class ConfigError extends Error {
  readonly code = 'CONFIG_INVALID';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    // It is about the environment: where in the code it came from helps nobody.
    this.stack = this.message;
    this.problems = problems;
  }
}

/**
 * Reads the configuration from environment variables. An empty variable counts as unset.
 *
 * @throws {ConfigError} naming all the mistakes
 */
export function readConfig(environment: Environment): Config {
  const problems: string[] = [];
  const entries = settingNames.map((name) => {
    const schema: Schema = settings.properties[name];
    const text = environment[variableOf(name)] ?? '';
    const value = text === '' ? schema.default : parse(schema, text);
    if (value === undefined) {
      const shown = schema.writeOnly === true ? 'another value (hidden)' : JSON.stringify(text);
      problems.push(`${variableOf(name)} must be ${describe(schema)}, got ${shown}`);
    }
    return [name, value] as const;
  });
  const config = Object.fromEntries(entries) as Config;
  problems.push(
    ...databaseUrlProblems(config),
    ...trustProxyProblems(config),
    ...portProblems(config),
    ...timingProblems(config),
    ...endpointProblems(config),
  );
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config);
}

/** Whether the value of this setting came from the environment or is the default. */
export function sourceOf(name: SettingName, environment: Environment): 'environment' | 'default' {
  return environment[variableOf(name)] ? 'environment' : 'default';
}

/** The part of JSON Schema that settings are written in. */
export type Schema = {
  readonly type?: 'string' | 'integer' | 'number' | 'boolean';
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly format?: 'uri';
  readonly default?: string | number | boolean;
  readonly description?: string;
  readonly writeOnly?: boolean;
};

/** `undefined` where the text is not what the schema asks for. Numbers are plain decimals: no `1e3`, no `0x10`, no ` 7`. */
export function parse(schema: Schema, text: string): string | number | boolean | undefined {
  if (schema.anyOf) {
    for (const alternative of schema.anyOf) {
      const value = parse(alternative, text);
      if (value !== undefined) return value;
    }
    return undefined;
  }
  if (schema.const !== undefined) return text === schema.const ? text : undefined;
  if (schema.enum) return schema.enum.includes(text) ? text : undefined;
  switch (schema.type) {
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'integer':
      return within(schema, /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN);
    case 'number':
      return within(schema, /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : Number.NaN);
    default:
      return text.length >= (schema.minLength ?? 0) ? text : undefined;
  }
}

function within({ minimum = -Infinity, maximum = Infinity }: Schema, value: number): number | undefined {
  return value >= minimum && value <= maximum ? value : undefined;
}

/** What the schema asks for, in words: `a whole number from 0 to 65535`. */
export function describe(schema: Schema): string {
  if (schema.anyOf) return schema.anyOf.map(describe).join(' or ');
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return `one of ${schema.enum.join(', ')}`;
  if (schema.type === 'boolean') return 'true or false';
  if (schema.type === 'integer') return `a whole number from ${schema.minimum} to ${schema.maximum}`;
  if (schema.type === 'number') return `a number from ${schema.minimum} to ${schema.maximum}`;
  if (schema.format === 'uri') return 'a URL';
  return 'text';
}

function portProblems({ dispatch, port, opsPort }: Config): string[] {
  if (port !== 0 && port === opsPort) {
    return [
      `OPS_PORT must be a different port from PORT (${port}); leave it unset to have operations answered on PORT`,
    ];
  }
  return dispatch === 'reuse-port' && (port === 0 || opsPort === 0)
    ? ['PORT and OPS_PORT must not be 0 with DISPATCH=reuse-port: each worker would take another port']
    : [];
}

function databaseUrlProblems({ databaseUrl }: Config): string[] {
  // It may have a password in it, so it is not repeated.
  const isFile = /^file:(?!\/\/(?!\/))[^?#\0]+$/.test(databaseUrl);
  if (/^postgres(ql)?:\/\//.test(databaseUrl)) {
    // A host that is half a password would be shown to whoever reads the log.
    const isEncoded = URL.canParse(databaseUrl) && /^\w+:\/\/([^@/?#]*@)?[^@]*$/.test(databaseUrl);
    return isEncoded
      ? []
      : [
          'DATABASE_URL must be postgres://user:password@host:5432/database, with every character of user and password that is neither a letter nor a digit percent-encoded (@ is %40, / is %2F); the value that it has is not shown',
        ];
  }
  return isFile
    ? []
    : [
        'DATABASE_URL must be file: and a path, as in file:data/events.db or file:/srv/data/events.db, or postgres://user:password@host:5432/database; the value that it has is not shown',
      ];
}

function endpointProblems({ otelExporterOtlpEndpoint }: Config): string[] {
  if (otelExporterOtlpEndpoint === '') return [];
  const wrong = whatIsWrongWithEndpoint(otelExporterOtlpEndpoint);
  if (wrong === undefined) return [];
  return [
    `OTEL_EXPORTER_OTLP_ENDPOINT ${wrong}, as in http://localhost:4318; got ${JSON.stringify(withoutSecrets(otelExporterOtlpEndpoint))}`,
  ];
}

function whatIsWrongWithEndpoint(endpoint: string): string | undefined {
  if (!/^https?:/i.test(endpoint)) return 'must be a URL that begins with http:// or https://';
  const url = URL.parse(endpoint);
  if (url === null) return 'must be a URL with a valid host and port';
  return url.search + url.hash === '' ? undefined : 'must be a URL without a query (?…) or a fragment (#…)';
}

/** Of what need not be a URL, all that could be user, password, query or fragment of one is hidden. */
function withoutSecrets(text: string): string {
  const [, scheme = '', rest = ''] = /^(\w+:\/\/)?(.*)$/s.exec(text) ?? [];
  const afterUser = rest.lastIndexOf('@') + 1;
  const end = rest.search(/[?#]/);
  // Either the password has such a character in it, or the query has an @.
  if (end >= 0 && end < afterUser) return `${scheme}(hidden)`;
  const user = afterUser > 0 ? '(hidden)@' : '';
  return `${scheme}${user}${end < 0 ? rest.slice(afterUser) : `${rest.slice(afterUser, end + 1)}(hidden)`}`;
}

const ADDRESS_GROUPS = ['loopback', 'linklocal', 'uniquelocal'];

function trustProxyProblems({ trustProxy }: Config): string[] {
  if (trustProxy === '' || /^\d{1,2}$/.test(trustProxy)) return [];
  const wrong = trustProxy.split(',').filter((entry) => {
    const [address = '', bits, ...rest] = entry.trim().split('/');
    if (ADDRESS_GROUPS.includes(entry.trim())) return false;
    const widest = { 4: 32, 6: 128 }[isIP(address)];
    if (widest === undefined || rest.length > 0) return true;
    return bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= widest);
  });
  return wrong.length === 0
    ? []
    : [
        `TRUST_PROXY must be a number of proxies or a list of addresses, ranges and ${ADDRESS_GROUPS.join(', ')}, got ${JSON.stringify(wrong.join(','))}; to trust everybody would let clients choose their own address`,
      ];
}
