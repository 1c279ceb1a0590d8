import type { SupervisorState } from '../app/operations/supervisor-state.ts';

/** A process tells its parent that it serves; PM2's `wait_ready` waits for the same word. */
export const READY = 'ready';

/** A process tells its supervisor that it begins to drain by itself, so that another one takes its place at once. */
export const LEAVING = 'leaving';

/** Tells the parent, where there is one and it listens. */
export function tellParent(message: typeof READY | typeof LEAVING | Heartbeat): void {
  // It may be gone by now, which is told by "disconnect" and is no failure of this message.
  if (process.connected) process.send?.(message, () => {});
}

/** The descriptors at which a worker finds the sockets that it shares with the others: the first ones after the standard ones. */
export const SHARED_SOCKET_FDS = [3, 4] as const;

/** The supervisor tells each worker whether it is to log everything. */
export type LogLevelWish = { readonly isDebug: boolean };

export function isLogLevelWish(message: unknown): message is LogLevelWish {
  return typeof message === 'object' && message !== null && 'isDebug' in message;
}

/** The supervisor tells a worker to drain because the whole service ends. SIGTERM ends just the one worker. */
export const STOP = 'stop';

/** The supervisor tells a worker that another one has taken its place: it is to drain, and may take its time. */
export const RETIRE = 'retire';

/** A worker tells its supervisor every second that its loop turns. */
export type Heartbeat = { readonly heartbeat: { readonly rssBytes: number } };

export const HEARTBEAT_MS = 1000;

export function isHeartbeat(message: unknown): message is Heartbeat {
  return typeof message === 'object' && message !== null && 'heartbeat' in message;
}

/** The supervisor tells each worker of itself whenever that changes, for `/health` and `/metrics`. */
export type SupervisorReport = { readonly supervisor: SupervisorState };

export function isSupervisorReport(message: unknown): message is SupervisorReport {
  return typeof message === 'object' && message !== null && 'supervisor' in message;
}
