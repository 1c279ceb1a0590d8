import { LOCKED_MAX_MS } from './limits.js';
import { StoreError } from './store-error.js';

/** @import { Client } from 'pg' */

/** Any number, as long as nobody else in the database locks the same. */
const MIGRATION_LOCK = 7_116_582_390;

/**
 * How the database came to be what it is, step by step; `event_schema` says how many have been taken. Steps are only ever
 * appended. While a reload rolls, processes of the version before still call `store_events`: one that takes something else
 * needs another name.
 */
const STEPS = [
  `
  -- Names are compared by their bytes, so that pages end and begin at the same place in every database.
  CREATE TABLE events (
    seq   bigint PRIMARY KEY,
    id    text COLLATE "C",
    type  text COLLATE "C" NOT NULL,
    value double precision,
    at    bigint NOT NULL,
    -- JSON as JavaScript writes it: PostgreSQL's own type would look at each again, and refuse what is nested deeply.
    data  text
  );
  CREATE UNIQUE INDEX events_by_id ON events (id) WHERE id IS NOT NULL;
  CREATE INDEX events_by_type ON events (type, seq);

  -- The last key that was given. A sequence would give keys in another order than that of the commits.
  CREATE TABLE event_last_seq (seq bigint NOT NULL);
  INSERT INTO event_last_seq VALUES (0);

  -- Rows that change all the time find room for their next version on the same page.
  CREATE TABLE event_totals (
    type  text COLLATE "C" PRIMARY KEY,
    count bigint NOT NULL,
    sum   double precision NOT NULL,
    min   double precision,
    max   double precision,
    first bigint NOT NULL,
    last  bigint NOT NULL
  ) WITH (fillfactor = 50);
  CREATE TABLE event_totals_by_minute (
    minute bigint NOT NULL,
    type   text COLLATE "C" NOT NULL,
    count  bigint NOT NULL,
    sum    double precision NOT NULL,
    min    double precision,
    max    double precision,
    first  bigint NOT NULL,
    last   bigint NOT NULL,
    PRIMARY KEY (minute, type)
  ) WITH (fillfactor = 50);
  CREATE INDEX event_totals_by_type_and_minute ON event_totals_by_minute (type, minute);

  CREATE TABLE event_keys (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text COLLATE "C" NOT NULL UNIQUE,
    body_hash bytea NOT NULL,
    at        bigint NOT NULL
  );

  -- Stores a batch: events as columns, each with the number of the submission that it is from, and the keys of the
  -- submissions that have one, no name twice. Answers how many events of each submission were new, and the hash under which
  -- a key was known already; of a submission with such a key nothing is stored.
  CREATE FUNCTION store_events(
    submissions int[], ids text[], types text[], event_values double precision[], times bigint[], datas text[],
    key_submissions int[], key_names text[], key_hashes bytea[],
    now bigint, keys_since bigint, keys_max bigint, lock_timeout text
  ) RETURNS TABLE (submission int, stored bigint, known_hash bytea) LANGUAGE plpgsql AS $$
  DECLARE
    known int[];
    last bigint;
  BEGIN
    -- For this transaction, so that it holds behind a pooler, too: a commit that is acknowledged is on the disk.
    IF current_setting('synchronous_commit') = 'off' THEN
      PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM set_config('lock_timeout', lock_timeout, true);

    -- One commit after the other: whoever has this row is alone until its commit is visible.
    UPDATE event_last_seq SET seq = seq + cardinality(submissions) RETURNING seq - cardinality(submissions) INTO last;

    RETURN QUERY
      SELECT sent.submission, NULL::bigint, event_keys.body_hash
      FROM unnest(key_submissions, key_names) AS sent (submission, name) JOIN event_keys USING (name);
    known := ARRAY(
      SELECT sent.submission
      FROM unnest(key_submissions, key_names) AS sent (submission, name) JOIN event_keys USING (name)
    );
    INSERT INTO event_keys (name, body_hash, at)
      SELECT sent.name, sent.body_hash, now
      FROM unnest(key_submissions, key_names, key_hashes) AS sent (submission, name, body_hash)
      WHERE sent.submission <> ALL (known);
    -- From the oldest on, a few more than came: a commit is never held up by it, and the table shrinks all the same.
    DELETE FROM event_keys WHERE cardinality(key_names) > 0 AND number IN (
      SELECT oldest.number
      FROM (SELECT number, at FROM event_keys ORDER BY number LIMIT cardinality(key_names) + 10) AS oldest
      WHERE oldest.at < keys_since OR oldest.number <= (SELECT max(number) FROM event_keys) - keys_max
    );

    RETURN QUERY
      WITH new AS (
        INSERT INTO events
          SELECT last + sent.number, sent.id, sent.type, sent.value, sent.at, sent.data
          FROM unnest(submissions, ids, types, event_values, times, datas)
            WITH ORDINALITY AS sent (submission, id, type, value, at, data, number)
          WHERE sent.submission <> ALL (known)
          ON CONFLICT (id) WHERE id IS NOT NULL DO NOTHING
          RETURNING seq, type, value, at
      ), by_type AS (
        INSERT INTO event_totals AS total
          SELECT type, count(*), coalesce(sum(value), 0), min(value), max(value), min(at), max(at) FROM new GROUP BY type
          ON CONFLICT (type) DO UPDATE SET
            count = total.count + excluded.count, sum = total.sum + excluded.sum,
            min = least(total.min, excluded.min), max = greatest(total.max, excluded.max),
            first = least(total.first, excluded.first), last = greatest(total.last, excluded.last)
      ), by_minute AS (
        INSERT INTO event_totals_by_minute AS total
          SELECT at - (at % 60000 + 60000) % 60000, type, count(*), coalesce(sum(value), 0), min(value), max(value), min(at), max(at)
          FROM new GROUP BY 1, 2
          ON CONFLICT (minute, type) DO UPDATE SET
            count = total.count + excluded.count, sum = total.sum + excluded.sum,
            min = least(total.min, excluded.min), max = greatest(total.max, excluded.max),
            first = least(total.first, excluded.first), last = greatest(total.last, excluded.last)
      )
      SELECT submissions[new.seq - last], count(*), NULL::bytea FROM new GROUP BY 1;
  END $$;
  `,
];

/**
 * Brings the database to the version of this code, once, whichever process comes first: the others wait for its transaction.
 *
 * @param {Client} client
 * @throws {StoreError} when the database is newer than this code
 */
export async function migrate(client) {
  if ((await versionOf(client)) === STEPS.length) return;
  // Whoever is cut off in between keeps the others out for so long, and no longer.
  await client.query(`
    BEGIN;
    SET LOCAL idle_in_transaction_session_timeout = '5s';
    SET LOCAL lock_timeout = '${LOCKED_MAX_MS}ms';
    SELECT pg_advisory_xact_lock(${MIGRATION_LOCK});
  `);
  const version = await versionOf(client);
  if (version > STEPS.length) {
    throw new StoreError(
      `it was made by a newer version of this service (schema ${version}, and this version knows ${STEPS.length}): start the newer one`,
    );
  }
  if (version === 0) {
    await client.query('CREATE TABLE event_schema (version int NOT NULL)');
    await client.query('INSERT INTO event_schema VALUES (0)');
  }
  for (const step of STEPS.slice(version)) await client.query(step);
  await client.query('UPDATE event_schema SET version = $1', [STEPS.length]);
  await client.query('COMMIT');
}

/** @param {Client} client */
async function versionOf(client) {
  // Not to_regclass, which may answer from a cache that is older than the lock.
  const { rows: tables } = await client.query(
    "SELECT FROM pg_class WHERE relname = 'event_schema' AND pg_table_is_visible(oid)",
  );
  if (tables.length === 0) return 0;
  const { rows } = await client.query('SELECT version FROM event_schema');
  return Number(rows[0]?.version);
}
