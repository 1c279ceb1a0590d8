import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/support/free-port.ts';
import { Nginx } from '../test/support/nginx.ts';
import { EXTRA_ROUTES } from '../test/support/paths.ts';
import { Pm2 } from '../test/support/pm2.ts';
import { answers, Launched } from './launched.ts';
import { SERVICE_ENVIRONMENT } from './leftovers.ts';
import { processTree } from './process-tree.ts';

/** A service whose processes can be replaced while it runs. */
export type Replaceable = {
  readonly url: string;
  /** Replaces every process that serves, once. */
  readonly replace: () => Promise<void>;
  /** Ends it, when all that were replaced have left. */
  readonly stop: () => Promise<void>;
};

export type Contender = {
  readonly service: string;
  readonly launcher: string;
  readonly isOurs: boolean;
  readonly start: () => Promise<Replaceable>;
};

const WORKERS = 2;

/** The service, with the routes for the clients that greet and post. */
const OURS = { WORKERS: String(WORKERS), NODE_OPTIONS: `--import=${EXTRA_ROUTES}` };

/** As generous as ours: what the others lose, they lose to the way in which they end. */
const PM2_OPTIONS = [
  ...['-i', String(WORKERS), '--wait-ready', '--listen-timeout', '10500', '--kill-timeout', '10500'],
  // Without PM2's agent in each instance, as ours.
  '--no-pmx',
];

export const CONTENDERS: readonly Contender[] = [
  {
    service: 'Express, `server.close()`',
    launcher: 'PM2 cluster, `pm2 reload`',
    isOurs: false,
    start: () => underPm2(['bench/peers/express.js', '--name', 'peer', ...PM2_OPTIONS], 'peer'),
  },
  {
    service: 'Fastify, close-with-grace, `app.close()`',
    launcher: 'PM2 cluster, `pm2 reload`',
    isOurs: false,
    start: () => underPm2(['bench/peers/fastify.js', '--name', 'peer', ...PM2_OPTIONS], 'peer'),
  },
  { service: 'Fastify', launcher: 'wattpm, `wattpm restart`', isOurs: false, start: underWattpm },
  { service: 'Mainstay', launcher: '`npm start`, SIGHUP', isOurs: true, start: asCluster },
  {
    service: 'Mainstay',
    launcher: 'PM2 cluster, `pm2 reload`',
    isOurs: true,
    start: () => underPm2(['ecosystem.config.js'], 'ecosystem.config.js', OURS),
  },
  { service: 'Mainstay', launcher: 'two instances behind nginx, restarted in turn', isOurs: true, start: behindNginx },
  { service: 'Mainstay', launcher: 'a single process, stopped and started again', isOurs: true, start: alone },
];

async function asCluster(): Promise<Replaceable> {
  const service = await Launched.start(['src/cluster/main.js'], OURS);
  return {
    url: service.url,
    replace: async () => {
      const before = await lastReloadAt(service.url);
      service.signal('SIGHUP');
      while ((await lastReloadAt(service.url)) === before) await sleep(100);
    },
    stop: async () => {
      while (processTree(service.pid).length > 1 + WORKERS) await sleep(100);
      await service.stop();
    },
  };
}

async function lastReloadAt(url: string): Promise<string | undefined> {
  const health = await fetch(`${url}/health`, { headers: { connection: 'close' } });
  const { lastReload } = (await health.json()) as { lastReload?: { result: string; at: string; reason?: string } };
  if (lastReload?.result === 'failed') throw new Error(`the reload failed: ${lastReload.reason}`);
  return lastReload?.at;
}

/** @param what is to be reloaded, in PM2's words */
async function underPm2(start: string[], what: string, environment: NodeJS.ProcessEnv = {}): Promise<Replaceable> {
  const port = await freePort();
  const pm2 = new Pm2({ ...SERVICE_ENVIRONMENT, ...environment, PORT: String(port), REQUEST_LOG: 'false' });
  const run = async (...args: string[]) => {
    const { code, output } = await pm2.run(args);
    if (code !== 0) throw new Error(output);
  };
  await run('start', ...start);
  const url = `http://127.0.0.1:${port}`;
  await answers(url);
  return { url, replace: () => run('reload', what), stop: () => pm2.kill() };
}

async function underWattpm(): Promise<Replaceable> {
  const wattpm = '../../node_modules/wattpm/bin/cli.js';
  const folder = 'bench/peers/watt';
  const service = await Launched.start([wattpm, 'start'], {}, { folder });
  const restart = () => Launched.run([wattpm, 'restart', String(service.pid)], folder);
  return { url: service.url, replace: restart, stop: () => service.stop() };
}

async function behindNginx(): Promise<Replaceable> {
  const ports = [await freePort(), await freePort()] as const;
  const start = (port: number) =>
    Launched.start(['src/server/main.js'], { ...OURS, TRUST_PROXY: 'loopback' }, { port });
  const instances = new Map<number, Launched>();
  for (const port of ports) instances.set(port, await start(port));
  const nginx = await Nginx.inFrontOf(ports);
  return {
    url: nginx.url,
    replace: async () => {
      for (const [port, instance] of instances) {
        await instance.stop();
        instances.set(port, await start(port));
        // Longer than nginx' proxy_connect_timeout: whoever waits for this one is to find it before the other one goes.
        await sleep(1500);
      }
    },
    stop: async () => {
      await nginx.stop();
      for (const instance of instances.values()) await instance.stop();
    },
  };
}

async function alone(): Promise<Replaceable> {
  const port = await freePort();
  const start = () => Launched.start(['src/server/main.js'], OURS, { port });
  let instance = await start();
  return {
    url: instance.url,
    replace: async () => {
      await instance.stop();
      instance = await start();
    },
    stop: () => instance.stop(),
  };
}
