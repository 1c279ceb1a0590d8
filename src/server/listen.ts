import cluster from 'node:cluster';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import net, { type AddressInfo, type ListenOptions } from 'node:net';
import type { FastifyListenOptions } from 'fastify';
import type { App } from '../app/types.ts';
import type { Config } from '../config/settings.ts';
import { setBacklog } from './backlog.ts';

/** What to do about the ways in which listening fails. */
const ADVICE: Record<string, string> = {
  EADDRINUSE: 'the port is taken: stop what listens there, or set PORT to another one',
  EACCES: 'ports below 1024 need a privilege: set PORT to a higher one, or grant CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'this machine has no such address: set HOST to one that it has, or to 0.0.0.0',
  EINVAL:
    'nobody can listen there: set HOST to an address of this machine, a link-local one with its interface (fe80::1%eth0)',
  ENOTFOUND: 'this name has no address: set HOST to an address of this machine, an IPv6 one without brackets',
  EAI_AGAIN: 'this name cannot be looked up now: set HOST to an address of this machine',
};

/**
 * Connections that may wait to be accepted; the kernel allows `net.core.somaxconn` of them, which is 4096. With Node's 511,
 * a crowd that reconnects at once, as in a restart, overflows the queue, and those who do not fit try again a second later.
 */
export const BACKLOG = 4096;

/** Where to listen, and on whose socket. */
export type ListenAt = Pick<Config, 'host' | 'port' | 'opsPort'> & {
  /** Whether other processes may listen on the same ports, each with sockets of its own. */
  readonly isPortReused?: boolean;
  /** The descriptors of sockets that are bound already: the one for PORT, and the one for OPS_PORT. */
  readonly fds?: readonly [number, number];
};

/**
 * Loads the app and listens.
 *
 * @throws {Error} that says what to do, where that is known
 */
export async function listen(app: App, { host, port, opsPort, isPortReused = false, fds }: ListenAt): Promise<void> {
  // Passed on to net.Server#listen, which knows more options than Fastify declares.
  type Options = FastifyListenOptions & ListenOptions & { fd: number | undefined; handle: net.BoundSocket | undefined };
  const isSocketOwn = fds === undefined && !cluster.isWorker;
  const options = async (port: number, fd: number | undefined): Promise<Options> => {
    // Fastify binds every address of "localhost" with a server each; connections are followed on one.
    const { address } = await lookup(host);
    const at = { host: address, port, reusePort: isPortReused };
    // Given an address, net.Server looks it up once more, and compiles a pattern for IPv6 to do so: some 10 ms of a start.
    const handle = isSocketOwn && net.BoundSocket ? new net.BoundSocket(at) : undefined;
    return { ...at, backlog: BACKLOG, fd, handle };
  };
  const { opsServer } = app;
  if (opsServer !== undefined && opsPort !== 'same') {
    try {
      opsServer.listen(await options(opsPort, fds?.[1]));
      await once(opsServer, 'listening');
      app.log.info(`Operations listening at ${urlOf(opsServer.address() as AddressInfo)}`);
    } catch (error) {
      throw cannotListen(error, { host, port: opsPort }, 'OPS_PORT');
    }
  }
  try {
    await app.listen(await options(port, fds?.[0]));
  } catch (error) {
    throw cannotListen(error, { host, port });
  }
  // For a socket that was bound before, the option does not count.
  for (const server of [app.server, opsServer]) if (server) setBacklog(server, BACKLOG);
}

/** As Fastify tells of PORT. */
function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

/** The error with advice, where there is some. */
export function cannotListen(error: unknown, { host, port }: Pick<Config, 'host' | 'port'>, setting = 'PORT'): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const advice = ADVICE[code]?.replace('set PORT', `set ${setting}`);
  if (advice === undefined) return error;
  return Object.assign(new Error(`Cannot listen on ${host}:${port} (${code}): ${advice}.`), { code: 'CANNOT_LISTEN' });
}
