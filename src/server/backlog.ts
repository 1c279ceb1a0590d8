import { type AddressInfo, connect, type Server, type Socket } from 'node:net';

/**
 * Changes how many connections may wait to be accepted, by listening again on the same socket. Node has no public way to do
 * it; without it, nothing happens.
 */
export function setBacklog(
  server: Server & { _handle?: { listen?: (backlog: number) => number } | null },
  most: number,
) {
  server._handle?.listen?.(most);
}

/**
 * Connects to a server of this process. On this machine that is done when it returns, but for the accepting, which the loop does
 * later: the connection waits in the queue, if that had room.
 *
 * @returns whether it waits; it is given up either way. True as well where Node does not tell.
 */
export async function ownConnectionWaits(server: Server): Promise<boolean> {
  const { address: host, port } = server.address() as AddressInfo;
  const own: Socket & { _handle?: { getpeername?: (into: object) => number } | null } = connect({ host, port });
  own.on('error', () => {});
  // When this goes on, it has been tried: both happen before the loop turns.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const failure = own._handle?.getpeername?.({}) ?? 0;
  setImmediate(() => own.destroy());
  return failure === 0;
}
