import pg from 'pg';
import { KEY_KEPT_MS, KEYS_MAX, LOCKED_MAX_MS, PAGE_MAX_BYTES } from './limits.js';
import { minuteCursor, pageOf, totalsPageOf } from './paging.js';
import { migrate } from './postgres-schema.js';
import { StoreError } from './store-error.js';
import { trial } from './trial.js';

/**
 * @import { EventStore, Outcome, PageQuery, StoredEvent, Submission, SummaryQuery, Totals } from '../store.ts'
 */

const CONNECT_MAX_MS = 5000;

/** A server that does not answer for so long is gone: it waits for locks for a shorter time. */
const ANSWER_MAX_MS = LOCKED_MAX_MS + 5000;

/** bigint, as a number: keys, counts and times are far below 2^53. */
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, Number);

/**
 * Connects, and makes the tables in the first schema of the search path where there are none.
 *
 * @param {string} url
 * @param {number} readersMax connections of this process for pages and summaries, beside the one that commits
 * @param {() => void} doubt is called when a connection breaks that nobody was using
 * @returns {Promise<EventStore>}
 * @throws {StoreError}
 */
export async function openPostgresStore(url, readersMax, doubt) {
  const options = {
    connectionString: url,
    application_name: 'mainstay events',
    connectionTimeoutMillis: CONNECT_MAX_MS,
    keepAlive: true,
    query_timeout: ANSWER_MAX_MS,
    types,
  };
  const client = new pg.Client(options);
  // What breaks while it is used is thrown there, too.
  client.on('error', () => {});
  try {
    await client.connect();
    await check(client);
    await migrate(client);
  } catch (error) {
    throw toStoreError(error);
  } finally {
    client.end().catch(() => {});
  }
  const pools = {
    writer: new pg.Pool({ ...options, max: 1 }),
    readers: new pg.Pool({ ...options, max: readersMax }),
  };
  for (const pool of Object.values(pools)) pool.on('error', doubt);
  const store = new PostgresStore(pools);
  try {
    // Finds what would keep a commit with events from succeeding, too.
    await store.commit([]);
  } catch (error) {
    store.close().catch(() => {});
    throw error;
  }
  return store;
}

/** @param {pg.ClientBase | pg.Pool} client */
async function check(client) {
  const { rows } = await client.query(
    `SELECT current_setting('server_encoding') AS encoding, current_setting('transaction_read_only') AS read_only,
      current_setting('transaction_isolation') AS isolation, current_setting('array_nulls') AS array_nulls`,
  );
  const [{ encoding, read_only: readOnly, isolation, array_nulls: arrayNulls }] = rows;
  if (encoding !== 'UTF8') throw new StoreError(`it is encoded as ${encoding}: create one with ENCODING 'UTF8'`);
  if (isolation !== 'read committed') {
    throw new StoreError(
      `its transactions are ${isolation}: set default_transaction_isolation to "read committed" for this user`,
    );
  }
  if (arrayNulls !== 'on') throw new StoreError('array_nulls is off: set it to on for this user');
  if (readOnly === 'on') throw new StoreError('it can only be read: let DATABASE_URL name the primary server');
}

/** @implements {EventStore} */
class PostgresStore {
  #writer;
  #readers;

  /** @param {{ writer: pg.Pool, readers: pg.Pool }} pools */
  constructor({ writer, readers }) {
    this.#writer = writer;
    this.#readers = readers;
  }

  /**
   * One statement, which is a transaction by itself. The server finishes it even when this process or the network is gone, and
   * so never keeps a lock for somebody who does not come back.
   *
   * @param {readonly Submission[]} batch
   * @returns {Promise<Outcome[]>}
   */
  async commit(batch) {
    const keys = new BatchKeys(batch);
    /** @type {{ submission: number, stored: number, known_hash: Uint8Array | null }[]} */
    const rows = await this.#ask(this.#writer, STORE_EVENTS, parametersOf(batch, keys));
    /** @type {Map<number, number>} */
    const stored = new Map();
    for (const { submission, stored: count, known_hash: knownHash } of rows) {
      if (knownHash === null) stored.set(submission, count);
      else keys.know(submission, knownHash);
    }
    return batch.map((_, submission) => keys.outcomeOf(submission) ?? { stored: stored.get(submission) ?? 0 });
  }

  /** @param {PageQuery} query */
  async page({ after, type, limit }) {
    /** @type {StoredEvent[]} */
    const rows = await this.#ask(
      this.#readers,
      // With the first one that is too much for the page, which tells that there is more.
      `SELECT seq, id, type, value, at, data FROM (
        SELECT *, sum(length(data)) OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before
        FROM (SELECT * FROM events WHERE seq > $1 AND ($2::text IS NULL OR type = $2) ORDER BY seq LIMIT $3) AS most
      ) AS page WHERE coalesce(before, 0) <= $4 ORDER BY seq`,
      [after, type, limit + 1, PAGE_MAX_BYTES],
    );
    return pageOf(rows, limit);
  }

  /** @param {SummaryQuery} query */
  async summary(query) {
    const { by, type, after, limit } = query;
    const cursor = minuteCursor(after);
    /** @type {Totals[]} */
    const rows =
      by === 'type'
        ? await this.#ask(
            this.#readers,
            'SELECT * FROM event_totals WHERE type > $1 AND ($2::text IS NULL OR type = $2) ORDER BY type LIMIT $3',
            [after ?? '', type, limit + 1],
          )
        : await this.#ask(
            this.#readers,
            `SELECT * FROM event_totals_by_minute
              WHERE (minute, type) > ($1, $2) AND ($3::text IS NULL OR type = $3) ORDER BY minute, type LIMIT $4`,
            [cursor.minute, cursor.type, type, limit + 1],
          );
    return totalsPageOf(rows, query);
  }

  async ping() {
    try {
      await check(this.#writer);
    } catch (error) {
      throw toStoreError(error);
    }
  }

  /** What was rolled back leaves dead rows, which the next vacuum makes room of. */
  async tryWriting() {
    const batch = [trial()];
    /** @type {pg.PoolClient | undefined} */
    let client;
    try {
      client = await this.#writer.connect();
      // Whoever is cut off in between keeps the others out for so long, and no longer.
      await client.query("BEGIN; SET LOCAL idle_in_transaction_session_timeout = '5s'");
      await client.query(STORE_EVENTS, parametersOf(batch, new BatchKeys(batch)));
      await client.query('ROLLBACK');
      client.release();
    } catch (error) {
      client?.release(true);
      throw toStoreError(error);
    }
  }

  async close() {
    await Promise.all([this.#writer.end(), this.#readers.end()]);
  }

  /**
   * @param {pg.Pool} pool
   * @param {string} text
   * @param {unknown[]} values
   */
  async #ask(pool, text, values) {
    try {
      const { rows } = await pool.query(text, values);
      return rows;
    } catch (error) {
      throw toStoreError(error);
    }
  }
}

const STORE_EVENTS = 'SELECT * FROM store_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)';

/**
 * @param {readonly Submission[]} batch
 * @param {BatchKeys} keys
 */
function parametersOf(batch, keys) {
  const now = Date.now();
  return [...columnsOf(batch, keys), ...keys.columns, now, now - KEY_KEPT_MS, KEYS_MAX, `${LOCKED_MAX_MS}ms`];
}

/** The Idempotency-Keys of a batch. Of one that comes several times in it, the server gets the first. */
class BatchKeys {
  /** By name: the first submission that has it, and the body that it stands for. @type {Map<string, { submission: number, bodyHash: Uint8Array, isKnown: boolean }>} */
  #first = new Map();
  #batch;

  /** @param {readonly Submission[]} batch */
  constructor(batch) {
    this.#batch = batch;
    batch.forEach(({ key }, submission) => {
      if (key === undefined || this.#first.has(key.name)) return;
      this.#first.set(key.name, { submission, bodyHash: key.bodyHash, isKnown: false });
    });
  }

  get columns() {
    const keys = [...this.#first.values()];
    return [keys.map(({ submission }) => submission), [...this.#first.keys()], keys.map(({ bodyHash }) => bodyHash)];
  }

  /** @param {number} submission */
  isRepeated(submission) {
    const first = this.#firstOf(submission);
    return first !== undefined && first.submission !== submission;
  }

  /**
   * @param {number} submission whose key the server has had before
   * @param {Uint8Array} bodyHash of what it came with then
   */
  know(submission, bodyHash) {
    const first = this.#firstOf(submission);
    if (first !== undefined) Object.assign(first, { bodyHash, isKnown: true });
  }

  /**
   * @param {number} submission
   * @returns {Outcome | undefined} undefined where its events were stored, if they were new
   */
  outcomeOf(submission) {
    const first = this.#firstOf(submission);
    if (first === undefined || (first.submission === submission && !first.isKnown)) return undefined;
    const own = this.#batch[submission]?.key?.bodyHash ?? new Uint8Array();
    return Buffer.compare(own, first.bodyHash) === 0 ? 'repeated' : 'key-reused';
  }

  /** @param {number} submission */
  #firstOf(submission) {
    const key = this.#batch[submission]?.key;
    return key && this.#first.get(key.name);
  }
}

/**
 * @param {readonly Submission[]} batch
 * @param {BatchKeys} keys
 * @returns {(string | number | null)[][]} submission, id, type, value, at and data of each event
 */
function columnsOf(batch, keys) {
  /** @type {(string | number | null)[][]} */
  const columns = [[], [], [], [], [], []];
  const [submissions, ...properties] = columns;
  batch.forEach(({ values }, submission) => {
    if (keys.isRepeated(submission)) return;
    for (let at = 0; at < values.length; ) {
      submissions?.push(submission);
      for (const column of properties) column.push(values[at++] ?? null);
    }
  });
  return columns;
}

/** By SQLSTATE or its class, or by the code of Node: words that say what to do. @see https://www.postgresql.org/docs/current/errcodes-appendix.html */
const REASONS = new Map([
  ['55P03', 'others keep it locked: end what has its tables locked'],
  ['08', 'the connection broke: check the server and the network'],
  ['28', 'it does not let this user in: check user and password, and pg_hba.conf'],
  ['3D000', 'there is no such database: create it'],
  [
    '3F000',
    'there is no schema to make the tables in: create it, or name another one in search_path (?options=-csearch_path%3Dname)',
  ],
  [
    '42501',
    'this user may not do that: grant USAGE and CREATE on the schema; where its owner has made the tables, SELECT, INSERT, UPDATE and DELETE on them',
  ],
  [
    '42P07',
    'a table with a name of ours is there already: name another schema in search_path (?options=-csearch_path%3Dname)',
  ],
  ['57014', 'it does not let a statement take so long: set statement_timeout for this user to 0, or to more'],
  ['57P01', 'somebody ended the connection, or the server is being stopped'],
  ['25006', 'it can only be read: let DATABASE_URL name the primary server'],
  ['53100', 'its disk is full: make room'],
  ['53300', 'it takes no more connections: raise max_connections, or lower WORKERS'],
  ['57P', 'it is stopping or starting'],
  ['ECONNREFUSED', 'nobody listens there: start it, or check host and port'],
  ['ENOENT', 'there is no such socket: start it, or check the path'],
  ['ENOTFOUND', 'there is no such host: check its name'],
]);

/** The driver has no codes for these. @type {readonly [RegExp, string | undefined][]} */
const WORDS = [
  [/timeout|terminated/, REASONS.get('08')],
  [/password must be a string/, 'it wants a password: put one into the URL'],
];

const LOCKED = new Set(['55P03', '40001', '40P01']);

/**
 * @param {unknown} error
 * @returns {StoreError}
 */
function toStoreError(error) {
  if (error instanceof StoreError) return error;
  const failure = error instanceof AggregateError ? error.errors[0] : error;
  const { message, code = '' } = /** @type {NodeJS.ErrnoException} */ (failure);
  const reason =
    REASONS.get(code) ??
    REASONS.get(code.slice(0, 3)) ??
    REASONS.get(code.slice(0, 2)) ??
    WORDS.find(([words]) => words.test(message))?.[1];
  const text = reason === undefined ? message : `${reason} (${message})`;
  return new StoreError(text, kindOf(code, message), error);
}

/**
 * @param {string} code
 * @param {string} message
 */
function kindOf(code, message) {
  // The last one is of the pool: all of its connections were in use.
  if (LOCKED.has(code) || message.startsWith('timeout exceeded')) return 'locked';
  // Values, constraints and limits: what was asked was wrong.
  return /^(22|23|54)...$/.test(code) ? 'refused' : 'failed';
}
