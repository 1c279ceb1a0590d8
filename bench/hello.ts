import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../test/support/free-port.ts';
import { Pm2 } from '../test/support/pm2.ts';
import { answers, Launched } from './launched.ts';
import { SERVICE_ENVIRONMENT } from './leftovers.ts';

/** Something that answers `GET /hello/John`. */
export type Greeter = {
  readonly url: string;
  /** The first of its processes. */
  readonly pid: number;
  readonly stop: () => Promise<void>;
};

export type Contender = {
  readonly service: string;
  readonly launcher: (typeof LAUNCHERS)[number];
  readonly isOurs: boolean;
  readonly start: () => Promise<Greeter>;
};

export const LAUNCHERS = [
  'one process',
  'node:cluster, two workers',
  'PM2 cluster, two instances',
  'two of its own kind',
] as const;

const PEERS = {
  'node:http, bare': { file: 'bench/peers/hello/bare.js', environment: {} },
  'Express 5': { file: 'bench/peers/hello/express.js', environment: {} },
  Fastify: { file: 'bench/peers/hello/fastify.js', environment: {} },
  'Fastify, under-pressure, prom-client': { file: 'bench/peers/hello/fastify-usual.js', environment: {} },
  'Fastify, under-pressure, prom-client, request log': {
    file: 'bench/peers/hello/fastify-usual.js',
    environment: { LOG: 'true' },
  },
};

/** Without PM2's own agent, which wraps what every request goes through: our ecosystem file leaves it out as well. */
const PM2_OPTIONS = ['-i', '2', '--no-pmx'];

/** What others are compared with. */
export const BARE = 'node:http, bare';

const OURS = {
  'Mainstay, without request log': { REQUEST_LOG: 'false' },
  Mainstay: { REQUEST_LOG: 'true' },
};

export const CONTENDERS: readonly Contender[] = [
  ...Object.entries(PEERS).flatMap(([service, { file, environment }]): Contender[] => [
    { service, launcher: LAUNCHERS[0], isOurs: false, start: () => Launched.start([file], environment) },
    {
      service,
      launcher: LAUNCHERS[1],
      isOurs: false,
      start: () => Launched.start(['bench/peers/cluster.js', file], environment),
    },
    { service, launcher: LAUNCHERS[2], isOurs: false, start: () => underPm2([file, ...PM2_OPTIONS], environment) },
  ]),
  ...Object.entries(OURS).flatMap(([service, environment]): Contender[] => [
    { service, launcher: LAUNCHERS[0], isOurs: true, start: () => Launched.start(['src/server/main.js'], environment) },
    {
      service,
      launcher: LAUNCHERS[1],
      isOurs: true,
      start: () => Launched.start(['src/cluster/main.js'], { ...environment, WORKERS: '2' }),
    },
    {
      service,
      launcher: LAUNCHERS[2],
      isOurs: true,
      start: () => underPm2(['ecosystem.config.js'], { ...environment, WORKERS: '2' }),
    },
  ]),
  {
    service: 'Fastify in wattpm',
    launcher: LAUNCHERS[3],
    isOurs: false,
    start: () => Launched.start(['../../node_modules/wattpm/bin/cli.js', 'start'], {}, { folder: 'bench/peers/watt' }),
  },
  { service: 'nginx, a constant', launcher: LAUNCHERS[3], isOurs: false, start: constantNginx },
];

/**
 * As a Prometheus does, once: from the first scrape on, Mainstay also watches its garbage collector and its loop, as the others with
 * prom-client do from their start. Who has no metrics answers something else.
 */
export async function scrape({ url }: Greeter): Promise<void> {
  await (await fetch(`${url}/metrics`, { headers: { connection: 'close' } })).text();
}

async function underPm2(start: string[], environment: NodeJS.ProcessEnv): Promise<Greeter> {
  const port = await freePort();
  const pm2 = new Pm2({ ...SERVICE_ENVIRONMENT, ...environment, PORT: String(port) });
  const { code, output } = await pm2.run(['start', ...start]);
  if (code !== 0) throw new Error(output);
  const url = `http://127.0.0.1:${port}`;
  await answers(url);
  return { url, pid: pm2.daemonPid, stop: () => pm2.kill() };
}

/** The most that HTTP on this machine gives. */
async function constantNginx(): Promise<Greeter> {
  const port = await freePort();
  const folder = mkdtempSync(path.join(tmpdir(), 'nginx-'));
  const configuration = `
    daemon off; pid nginx.pid; error_log error.log; worker_processes 2;
    events { }
    http {
      access_log off;
      client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
      keepalive_requests 100000000;
      server { listen 127.0.0.1:${port}; location / { default_type text/plain; return 200 'Hello John!!!'; } }
    }`;
  writeFileSync(path.join(folder, 'nginx.conf'), configuration);
  const child = spawn('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'error.log'], {
    env: { ...SERVICE_ENVIRONMENT, PATH: `${process.env.PATH}:/usr/sbin` },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await once(child, 'spawn');
  const url = `http://127.0.0.1:${port}`;
  await answers(url, () => child.exitCode === null);
  return {
    url,
    pid: child.pid ?? 0,
    stop: async () => {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
