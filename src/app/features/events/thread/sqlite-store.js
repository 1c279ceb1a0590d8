import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatchTotals } from './batch-totals.js';
import { KEY_KEPT_MS, KEYS_MAX, LOCKED_MAX_MS } from './limits.js';
import { minuteCursor, pageOf, totalsPageOf } from './paging.js';
import { migrate } from './sqlite-schema.js';
import { StoreError } from './store-error.js';
import { trial } from './trial.js';

/**
 * @import { EventStore, EventValues, Outcome, PageQuery, StoredEvent, Submission, SummaryQuery, Totals } from '../store.ts'
 */

/**
 * SQLite itself waits so long for a lock, and sleeps in this thread meanwhile. Then the thread reads what has arrived, and asks
 * again.
 */
const BUSY_TIMEOUT_MS = 10;
const BUSY_PAUSE_MS = 1;

/**
 * Pages of the write-ahead log after which it is copied into the database. SQLite's own 1000 copies the same pages of the index
 * over ids again and again: with random ids that made 11 µs of CPU an event of 8. Closing has 40 MB to copy then, which took 110 ms.
 */
const CHECKPOINT_PAGES = 10_000;

/** The log file shrinks to this when it has been copied, if it had become larger. */
const LOG_KEPT_BYTES = 64 * 1024 * 1024;

/** See docs/decisions/0008-events.md for what these are and what they protect against. */
const PRAGMAS = `
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
  PRAGMA journal_size_limit = ${LOG_KEPT_BYTES};
  PRAGMA cache_size = -32000;
`;

/**
 * Opens the database.
 *
 * @param {string} file its path, or `:memory:`
 * @param {boolean} mayCreate whether it is made where there is none, with its folder
 * @returns {Promise<EventStore>}
 * @throws {StoreError}
 */
export async function openSqliteStore(file, mayCreate) {
  /** @type {DatabaseSync | undefined} */
  let database;
  try {
    if (file !== ':memory:') {
      // What is missed is not replaced by something empty, in which keys would begin again.
      // The same where its log lies there: it would be lost to whoever puts the file back.
      if (!existsSync(file) && (!mayCreate || existsSync(`${file}-wal`))) throw new StoreError(GONE);
      makeFolder(path.dirname(file));
    }
    const opened = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
    database = opened;
    // Each of these may find that another process is just doing the same.
    await untilFree(() => opened.exec('PRAGMA journal_mode = WAL'));
    opened.exec(PRAGMAS);
    await untilFree(() => migrate(opened));
    const store = new SqliteStore(opened, file);
    await store.begin();
    return store;
  } catch (error) {
    if (database?.isOpen) database.close();
    throw toStoreError(error);
  }
}

/** @implements {EventStore} */
class SqliteStore {
  #database;
  #file;
  /** Where the database and its log are, once there is a log. */
  #place = '';
  #insert;
  #readLastSeq;
  #writeLastSeq;
  #mergeTotals;
  #mergeMinute;
  #insertKey;
  #readKey;
  #forgetKeys;

  /**
   * @param {DatabaseSync} database
   * @param {string} file
   */
  constructor(database, file) {
    this.#database = database;
    // SQLite keeps the log beside what a symbolic link leads to.
    this.#file = file === ':memory:' ? file : realpathSync(file);
    this.#insert = database.prepare(
      'INSERT INTO events (seq, id, type, value, at, data) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) WHERE id IS NOT NULL DO NOTHING',
    );
    this.#readLastSeq = database.prepare('SELECT seq FROM last_seq');
    this.#writeLastSeq = database.prepare('UPDATE last_seq SET seq = ?');
    const merge = `
      count = count + excluded.count,
      sum = sum + excluded.sum,
      min = min(ifnull(min, excluded.min), ifnull(excluded.min, min)),
      max = max(ifnull(max, excluded.max), ifnull(excluded.max, max)),
      first = min(first, excluded.first),
      last = max(last, excluded.last)`;
    this.#mergeTotals = database.prepare(
      `INSERT INTO totals VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ${merge}`,
    );
    this.#mergeMinute = database.prepare(
      `INSERT INTO totals_by_minute VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ${merge}`,
    );
    this.#insertKey = database.prepare(
      'INSERT INTO idempotency_keys (name, body_hash, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#readKey = database.prepare('SELECT body_hash FROM idempotency_keys WHERE name = ?');
    // From the oldest on, a few more than came: a commit is never held up by it, and the table shrinks all the same.
    this.#forgetKeys = database.prepare(`
      DELETE FROM idempotency_keys WHERE number IN (
        SELECT number FROM (SELECT number, at FROM idempotency_keys ORDER BY number LIMIT ?)
        WHERE at < ? OR number <= (SELECT max(number) FROM idempotency_keys) - ${KEYS_MAX}
      )`);
  }

  /**
   * @param {readonly Submission[]} batch
   * @returns {Promise<Outcome[]>}
   */
  async commit(batch) {
    const outcomes = await this.#transaction(() => this.#write(batch));
    // What went into a file that is gone is not acknowledged.
    this.#checkPlace();
    return outcomes;
  }

  /**
   * @param {PageQuery} query
   */
  async page({ after, type, limit }) {
    return this.#reading(() => {
      const where = type === undefined ? 'seq > ?' : 'type = ? AND seq > ?';
      const select = this.#database.prepare(`SELECT * FROM events WHERE ${where} ORDER BY seq LIMIT ?`);
      const rows = select.iterate(...(type === undefined ? [] : [type]), after, limit + 1);
      return pageOf(/** @type {Iterable<StoredEvent>} */ (/** @type {unknown} */ (rows)), limit);
    });
  }

  /** @param {SummaryQuery} query */
  async summary(query) {
    const { by, type, after, limit } = query;
    const cursor = minuteCursor(after);
    return this.#reading(() => {
      const select = this.#database.prepare(
        by === 'type'
          ? `SELECT type, count, sum, min, max, first, last FROM totals
              WHERE type > :name AND (:type IS NULL OR type = :type) ORDER BY type LIMIT :limit`
          : `SELECT * FROM totals_by_minute
              WHERE (minute, type) > (:minute, :name) ${type === undefined ? '' : 'AND type = :type'}
              ORDER BY minute, type LIMIT :limit`,
      );
      const rows = select.all({
        ...(by === 'type' ? { name: after ?? '' } : { minute: cursor.minute, name: cursor.type }),
        ...((by === 'type' || type !== undefined) && { type: type ?? null }),
        limit: limit + 1,
      });
      return totalsPageOf(/** @type {Totals[]} */ (/** @type {unknown} */ (rows)), query);
    });
  }

  /** The file may have been moved or deleted: what is written to it then is lost with it. */
  async ping() {
    this.#checkPlace();
  }

  #checkPlace() {
    if (placeOf(this.#file) !== this.#place) throw new StoreError(GONE);
  }

  /** Takes the lock, and finds what may only be read. It needs no room: SQLite does not write what is there already. */
  async begin() {
    await this.#transaction(() => this.#writeLastSeq.run(Number(this.#readLastSeq.get()?.seq)));
    this.#place = placeOf(this.#file);
  }

  async tryWriting() {
    await this.#transaction(() => {
      // Pages that were touched are written to the log, also where what they had is put back; new ones are not.
      this.#database.exec('SAVEPOINT trial');
      this.#write([trial()]);
      this.#database.exec('ROLLBACK TO trial');
    });
    this.#checkPlace();
  }

  async close() {
    try {
      this.#database.close();
    } catch (error) {
      throw toStoreError(error);
    }
  }

  /**
   * In a transaction.
   *
   * @param {readonly Submission[]} batch
   * @returns {Outcome[]}
   */
  #write(batch) {
    const before = Number(this.#readLastSeq.get()?.seq);
    let seq = before;
    const totals = new BatchTotals();
    const outcomes = batch.map(({ values, key }) => {
      const known = key === undefined ? undefined : this.#remember(key);
      if (known !== undefined) return known;
      const last = seq;
      seq = this.#store(values, seq, totals);
      return { stored: seq - last };
    });
    if (seq > before) this.#writeLastSeq.run(seq);
    for (const [type, sums] of totals.byType()) this.#mergeTotals.run(type, ...columnsOf(sums));
    for (const [minute, type, sums] of totals.byMinute()) this.#mergeMinute.run(minute, type, ...columnsOf(sums));
    const keys = batch.reduce((count, { key }) => count + (key === undefined ? 0 : 1), 0);
    if (keys > 0) this.#forgetKeys.run(keys + 10, Date.now() - KEY_KEPT_MS);
    return outcomes;
  }

  /**
   * Stores the events of a submission that are new.
   *
   * @param {EventValues} values
   * @param {number} seq the last key that was given
   * @param {BatchTotals} totals
   * @returns {number} the last key that is given now
   */
  #store(values, seq, totals) {
    for (let at = 0; at < values.length; ) {
      const id = /** @type {string | null} */ (values[at++]);
      const type = /** @type {string} */ (values[at++]);
      const value = /** @type {number | null} */ (values[at++]);
      const time = /** @type {number} */ (values[at++]);
      const data = /** @type {string | null} */ (values[at++]);
      if (this.#insert.run(seq + 1, id, type, value, time, data).changes === 0) continue;
      seq++;
      totals.add(type, value, time);
    }
    return seq;
  }

  /**
   * @param {NonNullable<Submission['key']>} key
   * @returns {'repeated' | 'key-reused' | undefined} undefined where the key is new
   */
  #remember({ name, bodyHash }) {
    if (this.#insertKey.run(name, bodyHash, Date.now()).changes === 1) return undefined;
    const known = /** @type {Uint8Array} */ (this.#readKey.get(name)?.body_hash);
    return Buffer.compare(known, bodyHash) === 0 ? 'repeated' : 'key-reused';
  }

  /**
   * @template Result
   * @param {() => Result} work
   * @returns {Promise<Result>}
   */
  async #transaction(work) {
    try {
      await untilFree(() => this.#database.exec('BEGIN IMMEDIATE'));
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      // Some failures have rolled it back already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw toStoreError(error);
    }
  }

  /**
   * @template Result
   * @param {() => Result} work
   * @returns {Result}
   */
  #reading(work) {
    try {
      return work();
    } catch (error) {
      throw toStoreError(error);
    }
  }
}

/**
 * Which files they are that have these names now, the database and its log.
 *
 * @param {string} file
 */
function placeOf(file) {
  if (file === ':memory:') return '';
  return [file, `${file}-wal`]
    .map((name) => statSync(name, { throwIfNoEntry: false }))
    .map((stats) => (stats === undefined ? 'gone' : `${stats.dev} ${stats.ino}`))
    .join();
}

/**
 * Does it again while another process has the lock.
 *
 * @param {() => void} work
 */
async function untilFree(work) {
  for (const until = performance.now() + LOCKED_MAX_MS; ; await sleep(BUSY_PAUSE_MS)) {
    try {
      return work();
    } catch (error) {
      if (resultOf(error) !== BUSY || performance.now() > until) throw error;
    }
  }
}

/**
 * @param {import('./batch-totals.js').Sums} sums
 */
function columnsOf({ count, sum, min, max, first, last }) {
  return /** @type {const} */ ([count, sum, min, max, first, last]);
}

const GONE = 'it was moved or deleted: put it back, or restart the service to begin with an empty one';

const BUSY = 5;

/** SQLite's primary result codes, in words that say what to do. @see https://sqlite.org/rescode.html */
const REASONS = new Map([
  [BUSY, 'another process keeps it locked: end what has it open, a backup or a shell'],
  [
    8,
    'it may not be written: check the owner and permissions of the file and its folder, and that the disk is not mounted read-only',
  ],
  [10, 'reading or writing it failed: check the disk'],
  [11, 'it is damaged: restore it from a backup'],
  [13, 'the disk is full: make room'],
  [14, 'it cannot be opened: check that it is a file, and that its folder may be written by this user'],
  [26, 'it is a file that is no SQLite database: set DATABASE_URL to another one'],
]);

/** @param {unknown} error */
function resultOf(error) {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
}

/**
 * @param {unknown} error
 * @returns {StoreError}
 */
function toStoreError(error) {
  if (error instanceof StoreError) return error;
  const { message, code } = /** @type {NodeJS.ErrnoException} */ (error);
  const result = resultOf(error);
  const reason = REASONS.get(result ?? -1) ?? (code === 'EACCES' || code === 'EROFS' ? REASONS.get(8) : undefined);
  const text = reason === undefined ? message : `${reason} (${message})`;
  return new StoreError(text, result === BUSY ? 'locked' : 'failed', error);
}

/**
 * One by one: where nothing can be made, as in /proc, Node's own recursion never ends.
 *
 * @param {string} folder
 */
function makeFolder(folder) {
  if (isFolder(folder)) return;
  makeFolder(path.dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    // Another process may have been faster.
    if (isFolder(folder)) return;
    const { message } = /** @type {Error} */ (error);
    throw new StoreError(
      `the folder ${folder} cannot be created: correct the path, or create the folder and let this user write to it (${message})`,
      'failed',
      error,
    );
  }
}

/** @param {string} name */
function isFolder(name) {
  return statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
}
