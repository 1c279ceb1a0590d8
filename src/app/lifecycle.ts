import { EventEmitter } from 'node:events';

const order = ['starting', 'ready', 'draining', 'closed'] as const;

export type LifecycleState = (typeof order)[number];

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
    if (order.indexOf(next) <= order.indexOf(this.#state)) {
      throw new Error(`the lifecycle cannot go from ${this.#state} to ${next}`);
    }
    this.#state = next;
    this.emit('change', next);
  }
}
