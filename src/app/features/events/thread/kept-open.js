import { setTimeout as sleep } from 'node:timers/promises';
import { REOPEN_INTERVAL_MS } from './limits.js';
import { StoreError } from './store-error.js';

/**
 * @import { FromThread } from '../messages.ts'
 * @import { EventStore } from '../store.ts'
 */

/** A store that is closed when it fails, and then opened anew until that succeeds. Meanwhile whoever wants it is refused at once. */
export class KeptOpen {
  /** @type {EventStore | undefined} */
  #store;
  #isClosed = false;
  #open;
  #tell;

  /**
   * @param {() => Promise<EventStore>} open
   * @param {(message: FromThread) => void} tell is told when it opens, and when and why it fails
   */
  constructor(open, tell) {
    this.#open = open;
    this.#tell = tell;
  }

  /** @throws {StoreError} when it cannot be opened */
  async open() {
    this.#store = await this.#open();
    this.#tell({ kind: 'up' });
  }

  /** Opens it as soon as that is possible. */
  async reopen() {
    while (!this.#isClosed) {
      try {
        return await this.open();
      } catch (error) {
        this.#tell({ kind: 'down', reason: reasonOf(error) });
      }
      await sleep(REOPEN_INTERVAL_MS, undefined, { ref: false });
    }
  }

  /**
   * @template Result
   * @param {(store: EventStore) => Promise<Result>} work
   * @returns {Promise<Result>}
   */
  async use(work) {
    const store = this.#store;
    if (store === undefined) throw new StoreError('it is not open');
    try {
      return await work(store);
    } catch (error) {
      // Another one may have noticed before; a lock goes away by itself.
      if (store === this.#store && !(error instanceof StoreError && error.kind === 'locked')) {
        this.#store = undefined;
        this.#tell({ kind: 'down', reason: reasonOf(error) });
        await store.close().catch(() => {});
        this.reopen();
      }
      throw error;
    }
  }

  async close() {
    this.#isClosed = true;
    await this.#store?.close();
  }
}

/** @param {unknown} error */
export function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}
