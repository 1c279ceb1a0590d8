import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildImage, engine, IMAGE, startContainer } from '../support/container.ts';
import { RawConnection } from '../support/raw.ts';

const MEGABYTE = 1_000_000;

beforeAll(buildImage);

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
    const container = await startContainer({ WORKERS });
    await container.ready();
    expect(await (await fetch(`${container.url}/greet/John`)).text()).toBe('Hello John!!!');
    expect(await engine('exec', container.id, 'node', 'src/server/healthcheck.js')).toEqual({ code: 0, output: '' });
    expect((await engine('exec', container.id, 'touch', '/app/x')).output).toContain('Read-only file system');
    expect((await engine('exec', container.id, 'cat', '/proc/1/status')).output).toMatch(/CapEff:\s+0+\n/);
    expect((await engine('exec', container.id, 'cat', '/proc/1/cmdline')).output).toMatch(/^node\0/);
  });

  it.each(['SIGTERM', 'SIGINT'])('drains on %s', async (signal) => {
    const container = await startContainer({ WORKERS });
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
    const container = await startContainer({ WORKERS });
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
    const container = await startContainer({ WORKERS, DRAIN_TIMEOUT_MS: '1000', DRAIN_IDLE_MS: '100' });
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
    const container = await startContainer({ WORKERS, DRAIN_TIMEOUT_MS: 'soon' });
    await container.ended();
    expect(await container.inspect('{{.State.ExitCode}}')).toBe('78');
    expect(await container.logs()).toContain('DRAIN_TIMEOUT_MS must be a whole number from 1 to 600000, got "soon"');
  });
});
