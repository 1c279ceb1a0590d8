import { setTimeout as sleep } from 'node:timers/promises';
import { CHECK_INTERVAL_MS, REOPEN_FIRST_MS, REOPEN_MOST_MS } from './limits.js';
import { StoreError } from './store-error.js';

/**
 * @import { FromThread } from '../messages.ts'
 * @import { EventStore } from '../store.ts'
 */

/**
 * A store that is closed when it fails, and then opened anew until that succeeds and it can be written. Meanwhile whoever wants
 * it is refused at once. It is looked after also when nobody wants it.
 */
export class KeptOpen {
  /** @type {EventStore | undefined} */
  #store;
  #isClosed = false;
  #commits = 0;
  /** How often it was lost, or could not be opened, since its last commit: one that opens, but cannot commit, counts on. */
  #failures = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #checking;
  #open;
  #tell;

  /**
   * @param {(isFirst: boolean, doubt: () => void) => Promise<EventStore>} open
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
    const store = await this.#open(isFirst, () => this.#check());
    // To open it takes no room on the disk, so that it would seem to work until the next commit. Not at the start, which would wait
    // for the disk each time, and where nothing speaks against it yet.
    if (!isFirst) await tryWriting(store);
    if (this.#isClosed) return store.close();
    this.#store = store;
    this.#tell({ kind: 'up' });
    this.#checking = setInterval(() => this.#check(), CHECK_INTERVAL_MS).unref();
  }

  /** Opens it as soon as that is possible. */
  async reopen() {
    while (!this.#isClosed) {
      if (this.#failures > 0) await sleep(reopenDelayMs(this.#failures), undefined, { ref: false });
      try {
        return await this.open(false);
      } catch (error) {
        this.#failures++;
        this.#tell({ kind: 'down', reason: reasonOf(error) });
      }
    }
  }

  /**
   * For commits: when one fails, the store is opened anew.
   *
   * @param {Parameters<EventStore['commit']>[0]} batch
   */
  async commit(batch) {
    const store = this.#opened();
    this.#commits++;
    try {
      const outcomes = await store.commit(batch);
      this.#failures = 0;
      return outcomes;
    } catch (error) {
      this.#judge(store, error);
      throw error;
    } finally {
      this.#commits--;
    }
  }

  /**
   * For reading: what fails there, may be that request's own fault, or that of one connection.
   *
   * @template Result
   * @param {(store: EventStore) => Promise<Result>} read
   * @returns {Promise<Result>}
   */
  async read(read) {
    try {
      return await read(this.#opened());
    } catch (error) {
      this.#check();
      throw error;
    }
  }

  async close() {
    this.#isClosed = true;
    clearInterval(this.#checking);
    await this.#store?.close();
  }

  #opened() {
    if (this.#store === undefined) throw new StoreError('it is not open');
    return this.#store;
  }

  /** A commit that runs finds out by itself, and may take longer than this. */
  async #check() {
    const store = this.#store;
    if (store === undefined || this.#commits > 0) return;
    try {
      await store.ping();
    } catch (error) {
      if (this.#commits === 0) this.#judge(store, error);
    }
  }

  /**
   * @param {EventStore} store
   * @param {unknown} error
   */
  #judge(store, error) {
    // What is locked, or is the fault of what was asked, goes away by itself.
    if (error instanceof StoreError && error.kind !== 'failed') return;
    // Another one may have noticed before.
    if (store !== this.#store) return;
    this.#store = undefined;
    this.#failures++;
    clearInterval(this.#checking);
    this.#tell({ kind: 'down', reason: reasonOf(error) });
    // What others are still doing with it ends by itself, and may take its time.
    store.close().catch(() => {});
    this.reopen();
  }
}

/** @param {EventStore} store is closed when it cannot be written */
async function tryWriting(store) {
  try {
    await store.tryWriting();
  } catch (error) {
    store.close().catch(() => {});
    throw error;
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
