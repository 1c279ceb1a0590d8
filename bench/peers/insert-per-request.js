// Events in PostgreSQL as most services keep them: each request is a statement of its own, and a commit of its own, on a
// connection of a pool. No group commit, no summary, no index but those for keys: it does less than the service.
import pg from 'pg';
import { takeEvents } from './event-service.js';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

async function insert(events) {
  const now = new Date().toISOString();
  const rows = events.map((_, row) => `(${[1, 2, 3, 4, 5].map((column) => `$${5 * row + column}`)})`);
  await pool.query(
    `INSERT INTO events (id, type, value, at, data) VALUES ${rows} ON CONFLICT (id) DO NOTHING`,
    events.flatMap(({ id, type, value, at = now, data }) => [id, type, value, at, JSON.stringify(data)]),
  );
}

await takeEvents({
  prepare: async () => {
    await pool.query(`
      CREATE TABLE events (
        seq   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id    text UNIQUE,
        type  text NOT NULL,
        value double precision,
        at    timestamptz NOT NULL,
        data  jsonb
      )`);
    await pool.end();
  },
  connect: async () => insert,
});
