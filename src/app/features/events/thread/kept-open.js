import { setTimeout as sleep } from 'node:timers/promises';
import { CHECK_INTERVAL_MS, REOPEN_FIRST_MS, REOPEN_MOST_MS } from './limits.js';
import { StoreError } from './store-error.js';

/**
 * @import { FromThread } from '../messages.ts'
 * @import { EventStore } from '../store.ts'
 */

/**
 * A store that is closed when it fails, and then opened anew until that succeeds. Meanwhile whoever wants it is refused at
 * once. It is looked after also when nobody wants it.
 */
export class KeptOpen {
  /** @type {EventStore | undefined} */
  #store;
  #isClosed = false;
  /** @type {NodeJS.Timeout | undefined} */
  #checking;
  #open;
  #tell;

  /**
   * @param {(isFirst: boolean, lost: (reason: StoreError) => void) => Promise<EventStore>} open
   * @param {(message: FromThread) => void} tell is told when it opens, and when and why it fails
   */
  constructor(open, tell) {
    this.#open = open;
    this.#tell = tell;
  }

  /**
   * @param {boolean} isFirst whether this process has not had it open before
   * @throws {StoreError} when it cannot be opened
   */
  async open(isFirst) {
    const store = await this.#open(isFirst, (reason) => this.#lose(store, reason));
    if (this.#isClosed) return store.close();
    this.#store = store;
    this.#tell({ kind: 'up' });
    this.#checking = setInterval(() => this.use((it) => it.ping()).catch(() => {}), CHECK_INTERVAL_MS).unref();
  }

  /** Opens it as soon as that is possible. */
  async reopen() {
    for (let failures = 1; !this.#isClosed; failures++) {
      try {
        return await this.open(false);
      } catch (error) {
        this.#tell({ kind: 'down', reason: reasonOf(error) });
      }
      await sleep(reopenDelayMs(failures), undefined, { ref: false });
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
      // A lock goes away by itself.
      if (!(error instanceof StoreError && error.kind === 'locked')) this.#lose(store, error);
      throw error;
    }
  }

  async close() {
    this.#isClosed = true;
    clearInterval(this.#checking);
    await this.#store?.close();
  }

  /**
   * @param {EventStore} store
   * @param {unknown} reason
   */
  #lose(store, reason) {
    // Another one may have noticed before.
    if (store !== this.#store) return;
    this.#store = undefined;
    clearInterval(this.#checking);
    this.#tell({ kind: 'down', reason: reasonOf(reason) });
    // What others are still doing with it ends by itself, and may take its time.
    store.close().catch(() => {});
    this.reopen();
  }
}

/** @param {number} failures at least 1 */
function reopenDelayMs(failures) {
  return Math.min(REOPEN_MOST_MS, REOPEN_FIRST_MS * 2 ** (failures - 1)) * (1 - Math.random() / 2);
}

/** @param {unknown} error */
export function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}
