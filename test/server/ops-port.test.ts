import { expect, it, onTestFinished } from 'vitest';
import { Cluster, gone } from '../support/cluster.ts';
import { freePort } from '../support/free-port.ts';
import { EXTRA_ROUTES } from '../support/paths.ts';
import { Pm2 } from '../support/pm2.ts';
import { Service } from '../support/processes.ts';
import { RawConnection } from '../support/raw.ts';

const OPERATIONS = ['/livez', '/readyz', '/health', '/metrics', '/status', '/status/scripts/page.js'];

type Method = 'GET' | 'POST';

async function status(url: string, path: string, method: Method = 'GET'): Promise<number> {
  const response = await fetch(url + path, { method, headers: { connection: 'close' } });
  await response.text();
  return response.status;
}

async function expectSeparated(url: string, opsUrl: string): Promise<void> {
  for (const path of OPERATIONS) {
    expect(await status(opsUrl, path)).toBe(200);
    expect(await status(url, path)).toBe(404);
    expect(await status(url, path, 'POST')).toBe(404);
  }
  for (const path of ['/greet', '/docs', '/openapi.json']) {
    expect(await status(url, path)).toBe(200);
    expect(await status(opsUrl, path)).toBe(404);
  }
  expect(await status(opsUrl, '/greet', 'POST')).toBe(404);
  expect(await status(opsUrl, '/livez', 'POST')).toBe(405);
}

/** Where a service says that it listens. */
async function urls(service: Service): Promise<[url: string, opsUrl: string]> {
  const url = await service.ready();
  const opsPort = service.lines('ready')[0]?.opsPort;
  return [url, `http://127.0.0.1:${opsPort}`];
}

it('OPS_PORT: one process answers operations there, and there only', async () => {
  const service = new Service('src/server/main.js', { OPS_PORT: '0', HOST: '127.0.0.1' });
  const [url, opsUrl] = await urls(service);
  for (const line of [`Server listening at ${url}`, `Operations listening at ${opsUrl}`]) {
    expect(service.lines(line)).toHaveLength(1);
  }
  await expectSeparated(url, opsUrl);
});

it('a crowd there is refused, and is none of the service', async () => {
  const service = new Service('src/server/main.js', { OPS_PORT: '0' });
  const [, opsUrl] = await urls(service);
  const crowd = Array.from({ length: 300 }, () => new RawConnection(opsUrl));
  onTestFinished(() => crowd.forEach(({ socket }) => void socket.destroy()));
  await service.until((self) => self.lines('too many connections: closing further ones at once').length > 0);
  for (const { socket } of crowd) socket.destroy();
  await expect.poll(() => status(opsUrl, '/livez').catch(() => 0)).toBe(200);
  const metrics = await (await fetch(`${opsUrl}/metrics`, { headers: { connection: 'close' } })).text();
  expect(metrics).toContain('http_connections_dropped_total{worker="single"} 0');
});

it.each([0, 1])('what is no request is told so on either (%d)', async (which) => {
  const service = new Service('src/server/main.js', { OPS_PORT: '0' });
  const url = (await urls(service))[which] ?? '';
  expect(await new RawConnection(url).send('garbage\r\n\r\n').closed()).toMatch(/^HTTP\/1.1 400 /);
  expect(await new RawConnection(url).send('CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n').closed()).toMatch(
    /^HTTP\/1.1 405 /,
  );
  // Written when the turn ends, after the answers.
  await service.until(() => service.lines('malformed request').length === 2);
  expect(service.lines('malformed request')).toMatchObject([{ status: 400 }, { status: 405, reason: 'CONNECT' }]);
});

it('operations are answered there while the process drains, and it ends all the same', async () => {
  const service = new Service('src/server/main.js', { OPS_PORT: '0', DRAIN_IDLE_MS: '0' });
  const [url, opsUrl] = await urls(service);
  const slow = fetch(`${url}/slow?ms=1500`).then((response) => response.text());
  await expect
    .poll(async () =>
      (await (await fetch(`${opsUrl}/metrics`)).text()).includes('http_requests_in_flight{worker="single"} 2'),
    )
    .toBe(true);
  service.child.kill('SIGTERM');
  await expect.poll(() => status(opsUrl, '/readyz')).toBe(503);
  expect(await status(opsUrl, '/livez')).toBe(200);
  expect(await slow).toContain('whole');
  expect(await service.ended()).toBe(0);
});

it.each(['shared', 'round-robin', 'reuse-port'])(
  'a cluster does so with DISPATCH=%s, through a reload',
  async (dispatch) => {
    const [PORT, OPS_PORT] = [String(await freePort()), String(await freePort())];
    const service = new Cluster({ PORT, OPS_PORT, DISPATCH: dispatch, RELOAD_IDLE_MS: '0' });
    await service.started(2);
    const before = service.workers;
    const at = [`http://127.0.0.1:${PORT}`, `http://127.0.0.1:${OPS_PORT}`] as const;
    await expectSeparated(...at);
    service.child.kill('SIGHUP');
    await service.logged('reload: done');
    // With reuse-port a connection is lost now and then while a socket closes.
    await Promise.all(before.map(gone));
    await expectSeparated(...at);
  },
);

it('PM2 does so', async () => {
  const [PORT, OPS_PORT] = [String(await freePort()), String(await freePort())];
  const NODE_OPTIONS = `--import=${EXTRA_ROUTES}`;
  const pm2 = new Pm2({ PORT, OPS_PORT, HOST: '127.0.0.1', WORKERS: '2', NODE_OPTIONS });
  onTestFinished(() => pm2.kill());
  expect(await pm2.run(['start', 'ecosystem.config.js'])).toMatchObject({ code: 0 });
  await expectSeparated(`http://127.0.0.1:${PORT}`, `http://127.0.0.1:${OPS_PORT}`);
});

it('one that is taken is told, with what to do', async () => {
  const first = new Service('src/server/main.js', { OPS_PORT: '0' });
  const [, opsUrl] = await urls(first);
  const { port } = new URL(opsUrl);
  for (const entry of ['src/server/main.js', 'src/cluster/main.js']) {
    const service = new Service(entry, { OPS_PORT: port, WORKERS: '2' });
    expect(await service.ended()).toBe(1);
    expect(service.output).toContain(`Cannot listen on 127.0.0.1:${port} (EADDRINUSE)`);
    expect(service.output).toContain('set OPS_PORT to another one');
  }
});

it('the same port as PORT is refused', async () => {
  const service = new Service('src/server/main.js', { PORT: '3456', OPS_PORT: '3456' });
  expect(await service.ended()).toBe(78);
  expect(service.output).toContain('OPS_PORT must be a different port from PORT (3456)');
});
