import type { App } from '../types.ts';
import type { Requests } from './requests.ts';

/** An answer that waits to be sent, on a connection on which no byte moved for so long: the client stopped reading. */
const STALLED_MS = 120_000;

const LOOKED_FOR_EVERY_MS = 10_000;

/**
 * Cuts answers that nobody reads. Node's `server.timeout` does so as well, by a timer that is set anew for each request, which takes a
 * twentieth of a small one's time; here those get one whose answers wait when looked for.
 */
export function cutStalledAnswers(
  app: App,
  requests: Requests,
  { stalledMs = STALLED_MS, lookedForEveryMs = LOOKED_FOR_EVERY_MS } = {},
): void {
  const look = setInterval(() => {
    for (const { request } of requests.open) {
      const { socket } = request.raw;
      // Restarts with each byte that moves, and ends with the answer, when the keep-alive time begins.
      if (socket.writableLength > 0 && socket.timeout !== stalledMs) socket.setTimeout(stalledMs);
    }
  }, lookedForEveryMs).unref();
  app.addHook('onClose', async () => clearInterval(look));

  app.server.on('timeout', (socket) => {
    // A stream that has nothing to say, and has said all before, may go on.
    if (socket.writableLength > 0 || requests.on(socket).length === 0) socket.destroy();
  });
}
