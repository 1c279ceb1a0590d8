import type { Server } from 'node:http';
import type { Config } from '../../config/settings.ts';
import { toldKeepAliveMs } from '../../config/timing.ts';

/**
 * Has answers tell clients a shorter keep-alive time than connections really have, in `Keep-Alive: timeout=`. Node takes the
 * rest for a buffer, which it has since 24.6; before, what is told is what is kept.
 */
export function tellKeepAlive(server: Server, config: Config): void {
  if (server.keepAliveTimeoutBuffer === undefined) return;
  server.keepAliveTimeout = toldKeepAliveMs(config);
  server.keepAliveTimeoutBuffer = config.keepAliveTimeoutMs - server.keepAliveTimeout;
}
