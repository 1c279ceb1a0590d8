import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

/** So long a client that is still sending may go on. */
const LINGER_MS = 2000;

/** The last request on a connection whose answer was out before it was in. */
const answeredEarly = new WeakMap<Socket, IncomingMessage>();

/** Whether the request that this client is still sending has its answer. */
export function isAnswered(socket: Socket): boolean {
  return answeredEarly.get(socket)?.complete === false;
}

/**
 * To be called when an answer is out before its request is in. Where that ends the connection, Node closes it at once, what then
 * still arrives makes the kernel reset it, and a client that has not read its answer yet, never will (RFC 9112, 9.6). This
 * says that nothing more will come, and reads on for a while.
 */
export function lingerUnlessRead({ req: request }: ServerResponse): void {
  const { socket } = request;
  // A request that was injected has something else for a socket.
  if (request.complete || !(socket instanceof Socket) || socket.destroyed) return;
  answeredEarly.set(socket, request);
  // Not `shouldKeepAlive`, which knows nothing of a `Connection: close` that somebody sets: Fastify does for a body that is too large.
  if (!socket.writableEnded) return;
  // What Node's destroySoon() has arranged.
  socket.off('finish', socket.destroy);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.on('end', () => socket.destroy());
  socket.on('close', () => clearTimeout(timer));
  request.resume();
}
