import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { ROOT, TELL_LOADED } from '../support/paths.ts';
import { OLD_NODE, Service } from '../support/processes.ts';
import { ProjectCopy } from '../support/project-copy.ts';

const ENTRIES = ['src/server/main.js', 'src/cluster/main.js'];

describe.each(ENTRIES)('%s', (entry) => {
  it('names all mistakes of the configuration and exits with 78, nothing started', async () => {
    const service = new Service(entry, { PORT: 'abc', DRAIN_TIMEOUT_MS: '1.5' });
    expect(await service.ended()).toBe(78);
    expect(service.output).toBe(
      [
        'The configuration is wrong:',
        '  - PORT must be a whole number from 0 to 65535, got "abc"',
        '  - DRAIN_TIMEOUT_MS must be a whole number from 1 to 600000, got "1.5"',
        '',
      ].join('\n'),
    );
  });

  it('explains its configuration', async () => {
    const service = new Service(entry, { PORT: '8080' }, { args: ['--explain-config'] });
    expect(await service.ended()).toBe(0);
    expect(service.output).toContain('PORT=8080 (environment)\n');
    expect(service.output).toContain('DRAIN_TIMEOUT_MS=8000 (default)\n');
  });

  it('checks that it would start, beside one that runs', async () => {
    const running = new Service('src/server/main.js');
    const port = new URL(await running.ready()).port;
    const service = new Service(entry, { PORT: port }, { args: ['--check'] });
    expect(await service.ended()).toBe(0);
    expect(service.output).toBe(
      `The configuration is valid, and the service starts. Not tried: PORT (${port}), which a running service may hold.\n`,
    );
  });

  it('explains and checks where both are asked for', async () => {
    const service = new Service(entry, {}, { args: ['--check', '--explain-config'] });
    expect(await service.ended()).toBe(0);
    expect(service.output).toContain('DRAIN_TIMEOUT_MS=8000 (default)\n');
    expect(service.output).toContain('the service starts');
  });

  it('loads late what few use', async () => {
    const service = new Service(entry, { NODE_OPTIONS: `--import=${TELL_LOADED}` }, { args: ['--check'] });
    expect(await service.ended()).toBe(0);
    expect(service.output).toContain('/node_modules/fastify/');
    const late = ['/undici/', '/@opentelemetry/', '/piscina/', '/pg/', '/pino-pretty/', 'node:sqlite', ' sqlite'];
    expect(late.filter((name) => service.output.includes(name))).toEqual([]);
  });

  it('loads OpenTelemetry where traces are to go somewhere, and does not need it to be there', async () => {
    const environment = {
      NODE_OPTIONS: `--import=${TELL_LOADED}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
    };
    const service = new Service(entry, environment, { args: ['--check'] });
    expect(await service.ended()).toBe(0);
    expect(service.output).toContain('/node_modules/@opentelemetry/sdk-trace/');
  });

  it('ends a check although a plugin goes on', async () => {
    const service = new Service(entry, { LEAVES_TIMER: '1' }, { args: ['--check'] });
    expect(await service.ended()).toBe(0);
  });

  it('says in a check what would keep it from starting', async () => {
    const service = new Service(entry, { HOST: '203.0.113.1' }, { args: ['--check'] });
    expect(await service.ended()).toBe(1);
    expect(service.output).toContain('Cannot listen on 203.0.113.1');
    expect(service.output).toContain('set HOST to one that it has');
  });

  it.each([
    ['a syntax error', 'const = 1;', 'SyntaxError'],
    ['an exception at import', "throw new Error('broken');", 'Error: broken'],
    ['a start that waits for nothing', 'await new Promise(() => {});', 'waits for something that never happens'],
    ['a start that never ends', 'await new Promise(() => setInterval(() => {}, 1000));', 'START_TIMEOUT_MS (1500 ms)'],
  ])('finds %s in a check', async (_what, code, words) => {
    const copy = new ProjectCopy();
    copy.change('src/app/operations/health.ts', (text) => `${text}\n${code}\n`);
    const service = new Service(entry, { START_TIMEOUT_MS: '1500' }, { args: ['--check'], root: copy.root });
    expect(await service.ended()).toBe(1);
    expect(service.output).toContain(words);
  });

  it('does not take for its end that nothing is left to happen before it serves', async () => {
    const copy = new ProjectCopy();
    copy.change('src/app/operations/health.ts', (text) => `${text}\nawait new Promise(() => {});\n`);
    const service = new Service(entry, { WORKERS: '2', START_TIMEOUT_MS: '1000' }, { root: copy.root });
    expect(await service.ended()).toBe(1);
    // A worker listens to its supervisor meanwhile, so that something may still happen: it waits until it is killed.
    expect(service.output).toMatch(/The start waits for something that never happens|it was not ready in time/);
  });

  it('refuses options that it does not know', async () => {
    const service = new Service(entry, {}, { args: ['--verbose'] });
    expect(await service.ended()).toBe(78);
    expect(service.output).toContain("Unknown option '--verbose'");
    expect(service.output).toContain('--help');
  });

  it('ends with 1 and says what to do when the port is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await new Promise((resolve) => holder.once('listening', resolve));
    const { port } = holder.address() as { port: number };
    const service = new Service(entry, { PORT: String(port), WORKERS: '2' });
    expect(await service.ended()).toBe(1);
    expect(service.output).toContain(`Cannot listen on 127.0.0.1:${port} (EADDRINUSE): the port is taken`);
  });

  it('serves in one process with WORKERS=1', async () => {
    const service = new Service(entry, { WORKERS: '1' });
    const url = await service.ready();
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ pid: service.pid, worker: 'single' });
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(0);
  });

  it('can be stopped in the middle of a plugin that takes its time, and does not listen any more then', async () => {
    const service = new Service(entry, { WORKERS: '2', START_TAKES_MS: '30000' });
    // Past the imports, and in the middle of the plugin.
    await sleep(1000);
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(0);
    expect(service.output).not.toContain('listening');
  });

  it.each([60, 120, 180, 240, 300])('loses no signal that comes %i ms after its start', async (ms) => {
    const service = new Service(entry, { WORKERS: '2' });
    await sleep(ms);
    service.child.kill('SIGTERM');
    // Before it could listen to any, the signal ends it by itself.
    expect([0, 'SIGTERM']).toContain(await service.ended());
  });

  it.skipIf(OLD_NODE === undefined)('says in one sentence that this Node is too old, and exits with 78', () => {
    const { status, stderr, stdout } = spawnSync(OLD_NODE ?? '', [entry], { cwd: ROOT, encoding: 'utf8' });
    expect(stderr).toMatch(/^Mainstay needs Node\.js 24 or newer, and this is \d+.*\.\n$/);
    expect(stdout).toBe('');
    expect(status).toBe(78);
  });
});

describe.each(['1', '2'])('npm start with %s workers', (WORKERS) => {
  it.each(['SIGTERM', 'SIGINT'] as const)('drains on %s to npm', async (signal) => {
    const port = await freePort();
    const npm = spawn('npm', ['start'], {
      cwd: ROOT,
      env: {
        ...process.env,
        PORT: String(port),
        DATABASE_URL: 'file::memory:',
        HOST: '127.0.0.1',
        WORKERS,
        NODE_OPTIONS: '',
      },
      stdio: 'ignore',
    });
    const ended = once(npm, 'exit');
    const status = () =>
      fetch(`http://127.0.0.1:${port}/readyz`, { headers: { connection: 'close' } }).then((r) => r.status);
    await expect.poll(status).toBe(200);
    npm.kill(signal);
    await ended;
    await expect.poll(() => status().catch(() => 'nobody listens')).toBe('nobody listens');
  });
});
