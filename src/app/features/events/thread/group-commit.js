import { setImmediate as nextTurn } from 'node:timers/promises';
import { COMMIT_MAX_EVENTS } from './limits.js';

/**
 * @import { Answer, FromThread, RefusalMessage } from '../messages.ts'
 * @import { Outcome, Submission } from '../store.ts'
 * @import { KeptOpen } from './kept-open.js'
 * @typedef {{ request: number, events: number, submission: Submission, since: number }} Waiting
 */

/**
 * Group commit: all that is complete when a commit begins goes into it, and what arrives meanwhile waits for the next. The
 * busier it is, the more requests share the price of a commit, which is mostly that of waiting for the disk. It never waits
 * for more to come: while one commit runs, the next gathers by itself.
 */
export class GroupCommit {
  /** @type {Waiting[]} */
  #waiting = [];
  #isRunning = false;
  #running = Promise.resolve();
  #store;
  #tell;

  /**
   * @param {KeptOpen} store
   * @param {(message: FromThread) => void} tell
   */
  constructor(store, tell) {
    this.#store = store;
    this.#tell = tell;
  }

  /**
   * @param {number} request
   * @param {number} events how many it brings
   * @param {Submission} submission
   */
  add(request, events, submission) {
    this.#waiting.push({ request, events, submission, since: performance.now() });
    if (!this.#isRunning) this.#running = this.#run();
  }

  /** Resolves when nothing waits any more. */
  async drained() {
    await this.#running;
  }

  async #run() {
    this.#isRunning = true;
    // The turn goes on with what else has arrived, and all of it goes in.
    for (await nextTurn(); this.#waiting.length > 0; await nextTurn()) await this.#commit(this.#take());
    this.#isRunning = false;
  }

  #take() {
    let events = 0;
    const count = this.#waiting.findIndex((waiting) => {
      events += waiting.events;
      return events > COMMIT_MAX_EVENTS;
    });
    // The first one always, however many it brings.
    return this.#waiting.splice(0, count === -1 ? this.#waiting.length : Math.max(1, count));
  }

  /** @param {Waiting[]} batch */
  async #commit(batch) {
    const startedAt = performance.now();
    try {
      const outcomes = await this.#store.commit(batch.map(({ submission }) => submission));
      const answers = batch.map(({ request, events }, index) => answerOf(request, events, outcomes[index]));
      const commit = {
        stored: outcomes.reduce((sum, outcome) => sum + (typeof outcome === 'object' ? outcome.stored : 0), 0),
        ms: performance.now() - startedAt,
        waitMs: startedAt - (batch[0]?.since ?? startedAt),
      };
      this.#tell({ kind: 'answers', answers, commit });
    } catch (error) {
      const refusal = unavailable(error);
      this.#tell({ kind: 'answers', answers: batch.map(({ request }) => ({ request, refusal })) });
    }
  }
}

/**
 * @param {number} request
 * @param {number} events
 * @param {Outcome | undefined} outcome
 * @returns {Answer}
 */
function answerOf(request, events, outcome) {
  if (outcome !== 'key-reused') return { request, accepted: events };
  const detail = 'This Idempotency-Key came with another body before: take a new one for new events.';
  return { request, refusal: { status: 422, code: 'IDEMPOTENCY_KEY_REUSED', detail } };
}

/**
 * @param {unknown} error
 * @returns {RefusalMessage}
 */
export function unavailable(error) {
  const isLocked = error instanceof Error && 'kind' in error && error.kind === 'locked';
  return isLocked
    ? { status: 503, code: 'STORE_LOCKED', detail: 'Others keep the store busy. Nothing was stored; try again later.' }
    : { status: 503, code: 'STORE_UNAVAILABLE', detail: 'The store is unavailable. Try again later.' };
}
