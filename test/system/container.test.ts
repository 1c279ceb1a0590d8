import { execFile, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { EXTRA_ROUTES, ROOT } from '../support/paths.ts';
import { RawConnection } from '../support/raw.ts';

const IMAGE = 'mainstay:test';
const MEGABYTE = 1_000_000;

/** `CONTAINER_ENGINE` names the command; otherwise the first that answers. */
const ENGINE =
  process.env.CONTAINER_ENGINE ??
  ['docker', 'podman'].find((command) => spawnSync(command, ['info'], { stdio: 'ignore' }).status === 0);

/** `CONTAINER_BUILD` is the command that builds, where that takes more than `docker build`. */
const BUILD = (process.env.CONTAINER_BUILD ?? `${ENGINE} build`).split(' ');

type Outcome = { code: number; output: string };

function run(command: string, args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: ROOT, maxBuffer: 64 * MEGABYTE }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr });
    });
  });
}

const engine = (...args: string[]) => run(ENGINE ?? '', args);

/** The image, run as one would in production: nothing is writable, nothing is permitted. */
async function start(environment: Record<string, string> = {}) {
  const port = await freePort();
  const settings = { PORT: String(port), NODE_OPTIONS: '--import=/extra-routes.mjs', ...environment };
  const { code, output } = await engine(
    'run',
    '--detach',
    '--network=host',
    '--read-only',
    '--tmpfs=/tmp:rw,size=16m',
    '--cap-drop=ALL',
    '--security-opt=no-new-privileges',
    '--memory=256m',
    '--cpus=1',
    `--volume=${EXTRA_ROUTES}:/extra-routes.mjs:ro`,
    ...Object.entries(settings).map(([name, value]) => `--env=${name}=${value}`),
    IMAGE,
  );
  if (code !== 0) throw new Error(output);
  const id = output.trim().split('\n').at(-1) ?? '';
  onTestFinished(async () => void (await engine('rm', '--force', id)));
  const url = `http://127.0.0.1:${port}`;
  return {
    id,
    url,
    logs: async () => (await engine('logs', id)).output,
    inspect: async (format: string) => (await engine('inspect', '--format', format, id)).output.trim(),
    ready: () =>
      expect.poll(async () => (await fetch(`${url}/readyz`)).status, { timeout: 30_000, interval: 100 }).toBe(200),
    ended: () => engine('wait', id),
  };
}

beforeAll(async () => {
  if (ENGINE === undefined) {
    throw new Error('No container engine answers: install Docker or podman, or name one in CONTAINER_ENGINE.');
  }
  const [command = '', ...args] = BUILD;
  const { code, output } = await run(command, [...args, '--tag', IMAGE, '.']);
  if (code !== 0) throw new Error(output);
});

describe('the image', () => {
  it('is small, and its user is not root', async () => {
    const { output } = await engine('image', 'inspect', '--format', '{{.Size}} {{.Config.User}}', IMAGE);
    const [size, user] = output.trim().split(' ');
    expect(Number(size)).toBeLessThan(300 * MEGABYTE);
    expect(user).toBe('1000:1000');
  });

  it('has production dependencies only', async () => {
    const { output } = await engine('run', '--rm', '--network=host', IMAGE, 'ls', 'node_modules');
    expect(output).toContain('fastify');
    expect(output).not.toMatch(/typescript|vitest|pm2/);
  });
});

describe.each(['1', '2'])('a container with %s workers', (WORKERS) => {
  it('serves and is healthy on the configured port, with nothing writable', async () => {
    const container = await start({ WORKERS });
    await container.ready();
    expect(await (await fetch(`${container.url}/greet/John`)).text()).toBe('Hello John!!!');
    expect(await engine('exec', container.id, 'node', 'src/server/healthcheck.js')).toEqual({ code: 0, output: '' });
    expect((await engine('exec', container.id, 'touch', '/app/x')).output).toContain('Read-only file system');
    expect((await engine('exec', container.id, 'cat', '/proc/1/status')).output).toMatch(/CapEff:\s+0+\n/);
    expect((await engine('exec', container.id, 'cat', '/proc/1/cmdline')).output).toMatch(/^node\0/);
  });

  it.each(['SIGTERM', 'SIGINT'])('drains on %s', async (signal) => {
    const container = await start({ WORKERS });
    await container.ready();
    const client = new RawConnection(container.url).send(
      'GET /greet HTTP/1.1\r\nHost: x\r\n\r\nGET /slow?ms=3000 HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    await client.until('Hello World !!!');
    // SIGTERM as "docker stop" sends it.
    const told = signal === 'SIGTERM' ? ['stop', '-t', '10'] : ['kill', '-s', signal];
    const ended = container.ended();
    await engine(...told, container.id);
    expect(await client.closed()).toMatch(/slow, but whole$/);
    await ended;
    expect(await container.inspect('{{.State.ExitCode}}')).toBe('0');
    expect(await container.logs()).toContain('"msg":"drained"');
  });

  it('ends at once with 1 on a second signal', async () => {
    const container = await start({ WORKERS });
    await container.ready();
    const client = new RawConnection(container.url).send(
      'GET /greet HTTP/1.1\r\nHost: x\r\n\r\nGET /never HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    await client.until('Hello World !!!');
    const ended = container.ended();
    await engine('kill', '-s', 'SIGTERM', container.id);
    await expect.poll(() => container.logs()).toContain('"msg":"draining"');
    await sleep(600); // Longer than what counts as the same signal, arriving twice.
    await engine('kill', '-s', 'SIGTERM', container.id);
    await ended;
    expect(await container.inspect('{{.State.ExitCode}}')).toBe('1');
    expect(await container.logs()).toContain('second signal');
  });

  it('exits with 1 when a request had to be cut', async () => {
    const container = await start({ WORKERS, DRAIN_TIMEOUT_MS: '1000', DRAIN_IDLE_MS: '100' });
    await container.ready();
    const client = new RawConnection(container.url).send(
      'GET /greet HTTP/1.1\r\nHost: x\r\n\r\nGET /never HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    await client.until('Hello World !!!');
    await engine('stop', '-t', '10', container.id);
    await client.closed();
    expect(await container.inspect('{{.State.ExitCode}}')).toBe('1');
    expect(await container.logs()).toContain('"route":"/never"');
  });

  it('exits with 78 when the configuration is wrong', async () => {
    const container = await start({ WORKERS, DRAIN_TIMEOUT_MS: 'soon' });
    await container.ended();
    expect(await container.inspect('{{.State.ExitCode}}')).toBe('78');
    expect(await container.logs()).toContain('DRAIN_TIMEOUT_MS must be a whole number from 1 to 600000, got "soon"');
  });
});
