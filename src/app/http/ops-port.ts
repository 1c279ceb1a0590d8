import type { Server, ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { createServer } from '../../node-http.ts';
import type { App } from '../types.ts';

/** A second server, for operations alone, where OPS_PORT asks for one: the first then knows nothing of them. */
export class OpsPort {
  readonly server: Server;
  readonly #sockets = new WeakSet<Socket>();

  /** @param options as those of the first server */
  constructor(app: App, options: ServerOptions) {
    this.server = createServer(options, app.routing);
    this.server.on('connection', (socket) => this.#sockets.add(socket));
    app.addHook('onRoute', (route) => {
      const { isOperation = false } = route.config ?? {};
      route.onRequest = [
        (request, reply, done) => {
          if (this.serves(request, isOperation)) done();
          else reply.callNotFound();
        },
        ...[route.onRequest ?? []].flat(),
      ];
    });
    app.addHook('onClose', async () => {
      this.server.close();
      this.server.closeAllConnections();
    });
  }

  /** Whether such routes are answered where the request came in. */
  serves(request: FastifyRequest, isOperation: boolean): boolean {
    return this.#sockets.has(request.raw.socket) === isOperation;
  }
}
