import { StoreError } from './store-error.js';

/** @import { DatabaseSync } from 'node:sqlite' */

/**
 * How the database came to be what it is, step by step; `PRAGMA user_version` says how many have been taken. Steps are only
 * ever appended. While a reload rolls, processes of the version before still write: a step must not take from them what
 * they need.
 */
const STEPS = [
  `
  CREATE TABLE events (
    seq   INTEGER PRIMARY KEY,
    id    TEXT,
    type  TEXT NOT NULL,
    value REAL,
    at    INTEGER NOT NULL,
    data  TEXT
  ) STRICT;
  CREATE UNIQUE INDEX events_by_id ON events (id) WHERE id IS NOT NULL;
  CREATE INDEX events_by_type ON events (type);

  -- The last key given. SQLite's AUTOINCREMENT would write it with each event instead of once in each commit; without either,
  -- keys would be given again after the newest events were deleted, and clients that page by them would miss the new ones.
  CREATE TABLE last_seq (seq INTEGER NOT NULL) STRICT;
  INSERT INTO last_seq VALUES (0);

  CREATE TABLE totals (
    type  TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    sum   REAL,
    min   REAL,
    max   REAL,
    first INTEGER NOT NULL,
    last  INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE totals_by_minute (
    minute INTEGER NOT NULL,
    type   TEXT NOT NULL,
    count  INTEGER NOT NULL,
    sum    REAL,
    min    REAL,
    max    REAL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (minute, type)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX totals_by_type_and_minute ON totals_by_minute (type, minute);

  CREATE TABLE idempotency_keys (
    number    INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    body_hash BLOB NOT NULL,
    at        INTEGER NOT NULL
  ) STRICT;
  `,
];

/**
 * Brings the database to the version of this code, once, whichever process comes first: the others wait for its transaction.
 *
 * @param {DatabaseSync} database
 * @throws {StoreError} when the database is newer than this code
 */
export function migrate(database) {
  if (versionOf(database) === STEPS.length) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    const version = versionOf(database);
    if (version > STEPS.length) {
      throw new StoreError(
        `it was made by a newer version of this service (schema ${version}, and this version knows ${STEPS.length}): start the newer one`,
      );
    }
    for (const step of STEPS.slice(version)) database.exec(step);
    database.exec(`PRAGMA user_version = ${STEPS.length}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** @param {DatabaseSync} database */
function versionOf(database) {
  return Number(database.prepare('PRAGMA user_version').get()?.user_version);
}
