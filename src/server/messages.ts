/** A process tells its parent that it serves; PM2's `wait_ready` waits for the same word. */
export const READY = 'ready';

/** The supervisor tells a worker to drain because the whole service ends. SIGTERM ends just the one worker. */
export const STOP = 'stop';
