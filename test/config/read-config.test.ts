import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildApp } from '../../src/app/app.ts';
import { explain, show } from '../../src/config/explain.ts';
import { ConfigError, describe as describeSchema, parse, readConfig } from '../../src/config/read-config.ts';
import { defaults, settingNames, settings, variableOf } from '../../src/config/settings.ts';

const problemsOf = (environment: Record<string, string>) => {
  try {
    readConfig(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
};

describe('the configuration', () => {
  it('is the defaults where nothing is set, or set to nothing', () => {
    expect(readConfig({})).toEqual(defaults);
    expect(readConfig(Object.fromEntries(settingNames.map((name) => [variableOf(name), ''])))).toEqual(defaults);
  });

  it('reads each kind of value', () => {
    expect(
      readConfig({ HOST: '::1', PORT: '0', WORKERS: '4', LOG_LEVEL: 'debug', REQUEST_LOG: 'false', TRUST_PROXY: '1' }),
    ).toMatchObject({ host: '::1', port: 0, workers: 4, logLevel: 'debug', requestLog: false, trustProxy: '1' });
    expect(readConfig({ WORKERS: 'auto' }).workers).toBe('auto');
  });

  it('names all mistakes at once, each with what to do', () => {
    expect(
      problemsOf({ PORT: 'abc', WORKERS: '0', LOG_LEVEL: 'loud', REQUEST_LOG: 'yes', DRAIN_DELAY_MS: '-1' }),
    ).toEqual([
      'PORT must be a whole number from 0 to 65535, got "abc"',
      'WORKERS must be auto or a whole number from 1 to 1024, got "0"',
      'LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent, got "loud"',
      'REQUEST_LOG must be true or false, got "yes"',
      'DRAIN_DELAY_MS must be a whole number from 0 to 600000, got "-1"',
    ]);
  });

  it.each(['1e3', '0x10', ' 80', '80 ', '+80', '80.0', '65536', '-0', 'NaN', 'Infinity', '9'.repeat(400)])(
    'takes %j for no port',
    (port) => {
      expect(problemsOf({ PORT: port })).toHaveLength(port === '-0' ? 0 : 1);
    },
  );

  it('names mistakes of every kind in one go', () => {
    const problems = problemsOf({ PORT: 'x', TRUST_PROXY: 'true', DRAIN_IDLE_MS: '9000' });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual(['PORT', 'TRUST_PROXY', 'DRAIN_IDLE_MS']);
  });

  it('sees that times fit each other', () => {
    expect(problemsOf({ DRAIN_IDLE_MS: '8000' })).toEqual([
      expect.stringContaining('DRAIN_IDLE_MS (8000) must be less than DRAIN_TIMEOUT_MS (8000)'),
    ]);
  });

  it.each(['1', '10.0.0.0/8', 'loopback,192.168.0.1', '::1/128, uniquelocal'])('trusts %s', async (trusted) => {
    expect(problemsOf({ TRUST_PROXY: trusted })).toEqual([]);
    const app = buildApp({ trustProxy: trusted, logLevel: 'silent' });
    await app.close();
  });

  it.each(['true', 'everybody', '10.0.0.0/33', '0.0.0.0/0', '::/0', '::1/129', '10.0.0.1/8/8', ',', '10.0.0.256'])(
    'does not trust %s',
    (trusted) => {
      expect(problemsOf({ TRUST_PROXY: trusted })).toHaveLength(1);
    },
  );

  it.each([
    'file:data/events.db',
    'file:/srv/events.db',
    'file:///srv/events.db',
    'file::memory:',
    'postgres://host/db',
    'postgresql://user:p%40ss@host:5432/db?sslmode=verify-full',
    'postgres:///db?host=/run/postgresql&user=me',
  ])('keeps events in %s', (url) => {
    expect(readConfig({ DATABASE_URL: url }).databaseUrl).toBe(url);
  });

  it.each([
    'postgres://user:hunter2@ss@host/db',
    'postgres://user:hun/ter2@host/db',
    'postgres://user:hunter#2@host/db',
  ])('asks for a password to be percent-encoded, and does not repeat it: %s', (url) => {
    const [problem = '', ...more] = problemsOf({ DATABASE_URL: url });
    expect(more).toEqual([]);
    expect(problem).toContain('percent-encoded');
    expect(problem).not.toContain('ter2');
  });

  it.each(['data/events.db', 'file:', 'file://host/events.db', 'mysql://root:hunter2@host/db'])(
    'keeps no events in %s, and does not repeat it',
    (url) => {
      expect(problemsOf({ DATABASE_URL: url })).toEqual([
        'DATABASE_URL must be file: and a path, as in file:data/events.db or file:/srv/data/events.db, or postgres://user:password@host:5432/database; the value that it has is not shown',
      ]);
    },
  );

  it.each(['http://localhost:4318', 'https://user:p%40ss@traces.example/otlp/', 'http://[::1]:4318'])(
    'sends traces to %s',
    (url) => {
      expect(readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: url }).otelExporterOtlpEndpoint).toBe(url);
    },
  );

  const SCHEME = 'must be a URL that begins with http:// or https://';
  const HOST = 'must be a URL with a valid host and port';
  const QUERY = 'must be a URL without a query (?…) or a fragment (#…)';

  it.each([
    ['localhost:4318', SCHEME, 'localhost:4318'],
    ['/v1/traces', SCHEME, '/v1/traces'],
    ['grpc://me:hunter2@host:4317', SCHEME, 'grpc://(hidden)@host:4317'],
    ['me:hunter2@host', SCHEME, '(hidden)@host'],
    ['http://', HOST, 'http://'],
    ['http://me:hunter2@host:99999', HOST, 'http://(hidden)@host:99999'],
    ['http://me:hunter2?@host:99999', HOST, 'http://(hidden)'],
    ['http://localhost:4318?key=hunter2', QUERY, 'http://localhost:4318?(hidden)'],
    ['http://localhost:4318?key=2@hunter', QUERY, 'http://(hidden)'],
    ['http://me@localhost:4318/#hunter2', QUERY, 'http://(hidden)@localhost:4318/#(hidden)'],
  ])('sends no traces to %s, says why, and repeats of it only what cannot be secret', (url, wrong, shown) => {
    expect(problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: url })).toEqual([
      `OTEL_EXPORTER_OTLP_ENDPOINT ${wrong}, as in http://localhost:4318; got "${shown}"`,
    ]);
  });

  it.each([
    ['0', 0],
    ['0.01', 0.01],
    ['1.0', 1],
  ])('traces the part %s of requests', (text, part) => {
    expect(readConfig({ OTEL_TRACES_SAMPLER_ARG: text }).otelTracesSamplerArg).toBe(part);
  });

  it.each(['1.1', '-0.1', '1e-2', '.5', '1.', '50%', 'NaN'])('traces no part of requests that is %s', (text) => {
    expect(problemsOf({ OTEL_TRACES_SAMPLER_ARG: text })).toEqual([
      `OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, got "${text}"`,
    ]);
  });

  it('never fails otherwise, whatever is in the environment', () => {
    const environment = fc.record(
      Object.fromEntries(settingNames.map((name) => [variableOf(name), fc.string({ maxLength: 20 })])),
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(environment, (values) => {
        const problems = problemsOf(values as Record<string, string>);
        expect(problems.every((problem) => problem.includes(' must be '))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a setting', () => {
  it('has a default that its own schema takes', () => {
    for (const name of settingNames) {
      const schema = settings.properties[name];
      expect(parse(schema, String(schema.default)), name).toBe(schema.default);
    }
  });

  it('is explained with its value and source', () => {
    const environment = { PORT: '8080' };
    const lines = explain(readConfig(environment), environment).split('\n');
    expect(lines).toContain('PORT=8080 (environment)');
    expect(lines).toContain('HOST=0.0.0.0 (default)');
    expect(lines).toHaveLength(settingNames.length);
  });

  it('that is secret is not shown', () => {
    expect(show({ type: 'string', writeOnly: true }, 'hunter2')).toBe('(hidden)');
    expect(show({ type: 'string' }, 'plain')).toBe('plain');
  });

  it.each([
    ['https://traces.example/otlp', 'https://traces.example/otlp'],
    ['', ''],
    ['https://user:hunter2@traces.example/otlp', 'https://(hidden)@traces.example/otlp'],
    ['https:hunter2@traces.example', 'https://(hidden)@traces.example/'],
    ['file:data/events.db', 'file:data/events.db'],
    ['postgres://host/db', 'postgres://host/db'],
    ['postgres://me:hunter2@host:5432/db?sslmode=disable', 'postgres://(hidden)@host:5432/db?(hidden)'],
    ['postgres://:hunter2@host/db', 'postgres://(hidden)@host/db'],
    ['postgres:///db?password=hunter2', 'postgres:///db?(hidden)'],
  ])('that is the URL %s is shown without what may be secret', (url, shown) => {
    expect(show({ type: 'string', format: 'uri' }, url)).toBe(shown);
  });

  it('is described in words', () => {
    expect(describeSchema(settings.properties.port)).toBe('a whole number from 0 to 65535');
    expect(describeSchema(settings.properties.workers)).toBe('auto or a whole number from 1 to 1024');
    expect(describeSchema(settings.properties.requestLog)).toBe('true or false');
  });
});
