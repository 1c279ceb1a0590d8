import { EventEmitter } from 'node:events';

/** In the order in which a process is in them. */
export const STATES = ['starting', 'ready', 'draining', 'closed'] as const;

export type LifecycleState = (typeof STATES)[number];

/**
 * Where a process is in its life: `starting → ready → draining → closed`, forwards only; a process that is told to stop
 * while it starts skips `ready`. `src/server` drives it; readiness, the connection headers and the tests read it.
 */
export class Lifecycle extends EventEmitter<{ change: [state: LifecycleState] }> {
  /** Whether another process has taken over: it drains, and yet the service is as ready as before. */
  isReplaced = false;
  #state: LifecycleState = 'starting';

  get state(): LifecycleState {
    return this.#state;
  }

  /** @throws {Error} when `next` is not later than the present state */
  advance(next: LifecycleState): void {
    if (STATES.indexOf(next) <= STATES.indexOf(this.#state)) {
      throw new Error(`the lifecycle cannot go from ${this.#state} to ${next}`);
    }
    this.#state = next;
    this.emit('change', next);
  }
}
