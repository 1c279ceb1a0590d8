import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { buildApp } from '../../../../src/app/app.ts';
import { listeningApp } from '../../../support/app.ts';
import { keptLog } from '../../../support/log.ts';
import { ROOT } from '../../../support/paths.ts';
import { isPostgresInstalled, Postgres } from './postgres.ts';
import { Relay } from './relay.ts';
import { all, databaseFile, type Event, lines, NDJSON, onEachStore, POSTGRESQL, postgres, SQLITE } from './support.ts';

async function storingApp(databaseUrl: string) {
  const { app, url, log } = await listeningApp({ databaseUrl, workers: 2 });
  app.lifecycle.advance('ready');
  const post = async (events: readonly unknown[]) => {
    const response = await fetch(`${url}/events`, { method: 'POST', headers: NDJSON, body: lines(events) });
    return { status: response.status, headers: response.headers, body: (await response.json()) as unknown };
  };
  const status = async (route: string) => (await fetch(url + route)).status;
  const becomes = (expected: number) => expect.poll(() => status('/readyz')).toBe(expected);
  return { app, url, log, post, status, becomes };
}

const NOBODY = 65_534;

/** What keeps an app with this store from getting ready. */
async function whyNotReady(databaseUrl: string): Promise<unknown> {
  const app = buildApp({ databaseUrl }, { log: keptLog().log });
  onTestFinished(() => app.close());
  return app.ready().then(
    () => 'it is ready',
    (error: unknown) => error,
  );
}

onEachStore(({ newUrl, connect, lock, neededTable, makeNewer }) => {
  describe('the event store', () => {
    it('is made when it is not there, and is there again for the next process', async () => {
      const databaseUrl = await newUrl();
      const { app, post } = await storingApp(databaseUrl);
      await post([{ type: 'a' }]);
      await app.close();
      const { url } = await storingApp(databaseUrl);
      expect(await all<Event>(url, '/events')).toHaveLength(1);
    });

    it('may be made and used by several at once: all see the same', async () => {
      const databaseUrl = await newUrl();
      const apps = await Promise.all(Array.from({ length: 4 }, () => storingApp(databaseUrl)));
      const answers = await Promise.all(
        Array.from({ length: 80 }, (_, index) =>
          apps[index % 4]?.post([{ type: 'a', id: `${index % 40}` }, { type: 'b' }]),
        ),
      );
      expect(answers.map((answer) => answer?.status)).toEqual(answers.map(() => 201));
      const seen = await Promise.all(apps.map(({ url }) => all<Event>(url, '/events')));
      for (const events of seen) expect(events).toEqual(seen[0]);
      expect(seen[0]).toHaveLength(120);
    });

    it('shows each event to whoever pages while others write', async () => {
      const databaseUrl = await newUrl();
      const apps = await Promise.all(Array.from({ length: 3 }, () => storingApp(databaseUrl)));
      const [reader] = apps;
      let isWriting = true;
      const writing = Promise.all(
        apps.map(async ({ post }, writer) => {
          for (let index = 0; index < 40; index++) await post([{ type: 'a', id: `${writer} ${index}` }]);
        }),
      ).finally(() => {
        isWriting = false;
      });
      const read: Event[] = [];
      for (let isLast = false; !isLast; ) {
        isLast = !isWriting;
        read.push(...(await all<Event>(reader?.url ?? '', `/events?after=${read.at(-1)?.seq ?? 0}`)));
      }
      await writing;
      expect(new Set(read.map(({ id }) => id)).size).toBe(120);
      expect(read).toHaveLength(120);
    });

    it('does not give a key again when the newest events were deleted', async () => {
      const databaseUrl = await newUrl();
      const { url, post } = await storingApp(databaseUrl);
      await post([{ type: 'a' }, { type: 'a' }]);
      await (await connect(databaseUrl)).query('DELETE FROM events');
      await post([{ type: 'a' }]);
      expect(await all(url, '/events')).toMatchObject([{ seq: 3 }]);
    });

    it('commits what has arrived when the app closes', async () => {
      const databaseUrl = await newUrl();
      const { app } = await storingApp(databaseUrl);
      const other = await connect(databaseUrl);
      await other.query(lock);
      const posting = app.inject({ method: 'POST', url: '/events', headers: NDJSON, payload: '{"type":"last"}' });
      await expect
        .poll(async () => (await app.inject('/metrics')).body)
        .toMatch(/^events_queue_length{worker="single"} 1$/m);
      const closing = app.close();
      await other.query('COMMIT');
      await closing;
      expect((await posting).statusCode).toBe(201);
      expect(await other.query('SELECT type FROM events')).toEqual([{ type: 'last' }]);
    });

    it('closes within half a second', async () => {
      const { app, post } = await storingApp(await newUrl());
      for (let batch = 0; batch < 5; batch++) {
        await post(Array.from({ length: 10_000 }, (_, index) => ({ id: `${batch} ${index}`, type: 'a' })));
      }
      const startedAt = performance.now();
      await app.close();
      expect(performance.now() - startedAt).toBeLessThan(500);
    });

    it('keeps an app from getting ready that is older than what is kept', async () => {
      const databaseUrl = await newUrl();
      const { app } = await storingApp(databaseUrl);
      await app.close();
      await (await connect(databaseUrl)).query(makeNewer);
      expect(await whyNotReady(databaseUrl)).toMatchObject({
        code: 'CANNOT_OPEN_STORE',
        message: expect.stringContaining('newer version'),
      });
    });
  });

  describe('while another process has the lock', () => {
    it('clients wait', async () => {
      const databaseUrl = await newUrl();
      const { url, post } = await storingApp(databaseUrl);
      const other = await connect(databaseUrl);
      await other.query(lock);
      const posting = post([{ type: 'a' }]);
      // Reading needs no lock, and is answered meanwhile.
      for (let read = 0; read < 20; read++) expect(await all(url, '/events')).toEqual([]);
      await other.query('COMMIT');
      expect(await posting).toMatchObject({ status: 201 });
    });

    it('but not for ever: they are told to try again, and nothing of theirs is stored', async () => {
      const databaseUrl = await newUrl();
      const { url, post, status } = await storingApp(databaseUrl);
      const other = await connect(databaseUrl);
      await other.query(lock);
      const refused = await post([{ type: 'a' }]);
      expect(refused).toMatchObject({ status: 503, body: { code: 'STORE_LOCKED' } });
      expect(refused.headers.has('retry-after')).toBe(true);
      await other.query('COMMIT');
      expect(await status('/readyz')).toBe(200);
      expect(await all(url, '/events')).toEqual([]);
      expect(await post([{ type: 'a' }])).toMatchObject({ status: 201 });
    });
  });

  describe('a store that fails later', () => {
    it('makes its routes 503 and the process not ready, though live, until it works again by itself', async () => {
      const databaseUrl = await newUrl();
      const { url, log, post, status, becomes } = await storingApp(databaseUrl);
      await post([{ type: 'before' }]);
      const other = await connect(databaseUrl);
      await other.query(`ALTER TABLE ${neededTable} RENAME TO away`);
      expect(await post([{ type: 'lost' }])).toMatchObject({ status: 503, body: { code: 'STORE_UNAVAILABLE' } });
      const refused = await post([{ type: 'lost' }]);
      expect(refused).toMatchObject({ status: 503 });
      expect(refused.headers.has('retry-after')).toBe(true);
      expect(await status('/events')).toBe(503);
      expect(await status('/events/summary')).toBe(503);
      const ready = await fetch(`${url}/readyz`);
      expect(ready.status).toBe(503);
      expect(await ready.json()).toEqual({ status: 'unavailable', failing: ['events'] });
      expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
        checks: { events: { status: 'unavailable', reason: expect.stringContaining(neededTable) } },
      });
      expect(log.some(({ level, msg }) => level === 'error' && msg?.startsWith('the event store'))).toBe(true);
      expect(await status('/livez')).toBe(200);
      expect(await status('/greet/John')).toBe(200);
      await other.query(`ALTER TABLE away RENAME TO ${neededTable}`);
      await becomes(200);
      expect(await post([{ type: 'after' }])).toMatchObject({ status: 201 });
      expect(await all(url, '/events')).toMatchObject([{ type: 'before' }, { type: 'after' }]);
    });

    it('gets another thread when its own dies, and those who wait are told', async () => {
      const started: Worker[] = [];
      const watch = (worker: Worker) => started.push(worker);
      process.on('worker', watch);
      onTestFinished(() => void process.off('worker', watch));
      const databaseUrl = await newUrl();
      const { post, becomes } = await storingApp(databaseUrl);
      expect(started).toHaveLength(1);
      const other = await connect(databaseUrl);
      await other.query(lock);
      const posting = post([{ type: 'a' }]);
      await started[0]?.terminate();
      expect(await posting).toMatchObject({ status: 503, body: { code: 'STORE_UNAVAILABLE' } });
      await becomes(503);
      await other.query('COMMIT');
      await becomes(200);
      expect(await post([{ type: 'a' }])).toMatchObject({ status: 201 });
    });
  });
});

describe('an SQLite database that cannot be opened keeps the app from getting ready, which says why', () => {
  it.runIf(process.platform === 'linux')('where no folder can be made', async () => {
    expect(await whyNotReady('file:/proc/none/here/events.db')).toMatchObject({
      code: 'CANNOT_OPEN_STORE',
      message: expect.stringContaining(
        'the folder /proc/none cannot be created: correct the path, or create the folder',
      ),
    });
  });

  it('in the log too, which promises nothing', async () => {
    const { lines, log } = keptLog();
    const file = databaseFile();
    writeFileSync(path.dirname(file), '');
    const app = buildApp({ databaseUrl: `file:${file}` }, { log });
    onTestFinished(() => app.close());
    await expect(app.ready()).rejects.toThrow('cannot be created');
    expect(lines.map(({ msg }) => msg)).toEqual(['the event store cannot be opened']);
  });

  it('a file that is no database', async () => {
    const file = databaseFile();
    mkdirSync(path.dirname(file));
    writeFileSync(file, 'x'.repeat(10_000));
    expect(await whyNotReady(`file:${file}`)).toMatchObject({
      code: 'CANNOT_OPEN_STORE',
      message: expect.stringMatching(/Cannot open the event store, file:.* \(DATABASE_URL\): .*no SQLite database/),
    });
  });

  it('a folder that cannot be made', async () => {
    const file = databaseFile();
    writeFileSync(path.dirname(file), '');
    expect(await whyNotReady(`file:${file}`)).toMatchObject({ message: expect.stringContaining('EEXIST') });
  });

  it('a folder in its place', async () => {
    const file = databaseFile();
    mkdirSync(file, { recursive: true });
    expect(await whyNotReady(`file:${file}`)).toMatchObject({
      message: expect.stringContaining('check that it is a file'),
    });
  });

  it('one that another process keeps locked', async () => {
    const databaseUrl = await SQLITE.newUrl();
    mkdirSync(path.dirname(databaseUrl.slice('file:'.length)));
    const other = await SQLITE.connect(databaseUrl);
    await other.query('PRAGMA journal_mode = WAL');
    await other.query('BEGIN IMMEDIATE');
    expect(await whyNotReady(databaseUrl)).toMatchObject({ message: expect.stringContaining('locked') });
  });

  it('one that may only be read', async ({ skip }) => {
    const databaseUrl = await SQLITE.newUrl();
    const { app } = await storingApp(databaseUrl);
    await app.close();
    const file = databaseUrl.slice('file:'.length);
    chmodSync(file, 0o444);
    chmodSync(path.dirname(file), 0o555);
    onTestFinished(() => chmodSync(path.dirname(file), 0o755));
    chmodSync(path.dirname(path.dirname(file)), 0o755);
    // Root may write everything.
    if (process.getuid?.() === 0) {
      process.seteuid?.(NOBODY);
      onTestFinished(() => process.seteuid?.(0));
      if (!existsSync(`${ROOT}/package.json`)) skip('nobody but root may read this folder');
    }
    expect(await whyNotReady(databaseUrl)).toMatchObject({ message: expect.stringContaining('may not be written') });
  });
});

describe('an SQLite database of which only the log is left', () => {
  it('is not begun anew: the log would be lost to whoever puts the database back', async () => {
    const databaseUrl = await SQLITE.newUrl();
    const { url, post, becomes } = await storingApp(databaseUrl);
    await post([{ type: 'a' }]);
    const file = databaseUrl.slice('file:'.length);
    renameSync(file, `${file}-away`);
    expect(await post([{ type: 'b' }])).toMatchObject({ status: 503 });
    expect(await whyNotReady(databaseUrl)).toMatchObject({ message: expect.stringContaining('put it back') });
    renameSync(`${file}-away`, file);
    await becomes(200);
    expect((await all<Event>(url, '/events'))[0]).toMatchObject({ type: 'a' });
  });
});

describe('an SQLite database that is moved away', () => {
  it('is missed, also when nobody sends events, and not replaced by an empty one', async () => {
    const databaseUrl = await SQLITE.newUrl();
    const { url, post, becomes } = await storingApp(databaseUrl);
    await post([{ type: 'a' }]);
    const folder = path.dirname(databaseUrl.slice('file:'.length));
    renameSync(folder, `${folder}-away`);
    await becomes(503);
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
      checks: { events: { reason: expect.stringContaining('put it back') } },
    });
    expect(await post([{ type: 'b' }])).toMatchObject({ status: 503 });
    renameSync(`${folder}-away`, folder);
    await becomes(200);
    expect(await post([{ type: 'b' }])).toMatchObject({ status: 201 });
    expect(await all(url, '/events')).toMatchObject([{ type: 'a' }, { type: 'b' }]);
  });

  it.each(['file', 'link'])('is missed when only its log is (%s)', async (kind) => {
    const databaseUrl = await SQLITE.newUrl();
    const { app, post } = await storingApp(databaseUrl);
    await post([{ type: 'a' }]);
    const file = databaseUrl.slice('file:'.length);
    const link = `${file}-link`;
    symlinkSync(file, link);
    const other = await storingApp(kind === 'file' ? databaseUrl : `file:${link}`);
    await app.close();
    rmSync(`${file}-wal`);
    expect(await other.post([{ type: 'b' }])).toMatchObject({ status: 503 });
    await other.becomes(200);
    expect(await other.post([{ type: 'c' }])).toMatchObject({ status: 201 });
    const read = (await all<Event>(other.url, '/events')).map(({ type }) => type);
    expect(read).toEqual(expect.arrayContaining(['a', 'c']));
  });
});

describe.runIf(isPostgresInstalled)(
  'a PostgreSQL database that cannot be opened keeps the app from getting ready',
  () => {
    it.each([
      ['nobody listens', (url: URL) => (url.port = '1'), 'nobody listens there'],
      ['the database is not there', (url: URL) => (url.pathname = '/other'), 'there is no such database'],
      ['the user is not known', (url: URL) => (url.username = 'nobody'), 'does not let this user in'],
      ['the schema is not there', (url: URL) => (url.search = '?options=-csearch_path%3Dother'), 'there is no schema'],
      [
        'it can only be read',
        (url: URL) => (url.search += '%20-cdefault_transaction_read_only%3Don'),
        'it can only be read',
      ],
      ['nulls in arrays are text', (url: URL) => (url.search += '%20-carray_nulls%3Doff'), 'array_nulls is off'],
    ])('%s: it says so, and keeps the password to itself', async (_what, spoil, words) => {
      const url = new URL(await POSTGRESQL.newUrl());
      url.password = 'canary';
      spoil(url);
      const error = (await whyNotReady(url.href)) as Error;
      expect(error).toMatchObject({ code: 'CANNOT_OPEN_STORE', message: expect.stringContaining(words) });
      expect(error.message).not.toContain('canary');
    });

    it('a user may not make tables', async () => {
      const server = await postgres();
      await server.query('CREATE ROLE reader LOGIN');
      const url = new URL(await POSTGRESQL.newUrl());
      url.username = 'reader';
      expect(await whyNotReady(url.href)).toMatchObject({ message: expect.stringMatching(/grant USAGE|no schema/) });
    });

    it('it is not encoded as UTF-8', async () => {
      await (await postgres()).query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
      const url = new URL(await POSTGRESQL.newUrl());
      url.pathname = '/latin';
      expect(await whyNotReady(url.href)).toMatchObject({ message: expect.stringContaining("ENCODING 'UTF8'") });
    });
  },
);

describe.runIf(isPostgresInstalled)('a PostgreSQL server', () => {
  /** Its own: what these tests do to it would disturb the others. */
  async function ownServer() {
    const server = await Postgres.start();
    onTestFinished(() => server.end());
    return server;
  }

  it.each(['SIGINT', 'SIGQUIT'] as const)(
    'that ends by %s and comes back: nothing acknowledged is lost, and it goes on by itself',
    async (signal) => {
      const server = await ownServer();
      const { url, post, status, becomes } = await storingApp(await server.newUrl());
      const acknowledged: string[] = [];
      let isOver = false;
      const clients = Array.from({ length: 8 }, async (_, client) => {
        for (let index = 0; !isOver; index++) {
          const id = `${client} ${index}`;
          const answer = await post([{ type: 'a', id, value: 1 }]);
          if (answer.status === 201) acknowledged.push(id);
          else expect(answer.status).toBe(503);
        }
      });
      await expect.poll(() => acknowledged.length).toBeGreaterThan(50);
      await server.stop(signal);
      await becomes(503);
      expect(await status('/livez')).toBe(200);
      await server.start();
      await becomes(200);
      const before = acknowledged.length;
      await expect.poll(() => acknowledged.length).toBeGreaterThan(before + 50);
      isOver = true;
      await Promise.all(clients);
      const events = await all<Event>(url, '/events?limit=1000');
      const ids = new Set(events.map(({ id }) => id));
      expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
      expect(ids.size).toBe(events.length);
      expect(await all(url, '/events/summary')).toMatchObject([{ count: events.length, sum: events.length }]);
    },
  );

  it('that is missed also when nobody sends events', async () => {
    const server = await ownServer();
    const { becomes } = await storingApp(await server.newUrl());
    await server.stop();
    await becomes(503);
    await server.start();
    await becomes(200);
  });

  it('that is cut off in the middle of a commit: the client is told to ask again, and its events are there once', async () => {
    const server = await postgres();
    const relay = await Relay.to(server.port);
    onTestFinished(() => relay.end());
    const databaseUrl = await server.newUrl(relay.port);
    const { url, post, becomes } = await storingApp(databaseUrl);
    await post([{ type: 'a', id: 'first' }]);
    const events = [{ type: 'a', id: 'second' }];
    relay.loseAnswers();
    const cut = await post(events);
    expect(cut).toMatchObject({ status: 503, body: { code: 'STORE_UNAVAILABLE' } });
    await becomes(503);
    // It was committed; only its answer was lost.
    expect(await server.query(`SELECT id FROM ${schemaOf(databaseUrl)}.events ORDER BY seq`)).toEqual([
      { id: 'first' },
      { id: 'second' },
    ]);
    relay.heal();
    await becomes(200);
    expect(await post(events)).toMatchObject({ status: 201, body: { accepted: 1 } });
    expect(await all(url, '/events')).toMatchObject([{ id: 'first' }, { id: 'second' }]);
    expect(await all(url, '/events/summary')).toMatchObject([{ count: 2 }]);
  });

  it('that has no room for an event does not count as open, though it takes connections, until it has', async () => {
    const server = await postgres();
    const databaseUrl = await server.newUrl();
    const { url, log, post, status, becomes } = await storingApp(databaseUrl);
    const schema = schemaOf(databaseUrl);
    await server.query(`
      CREATE SEQUENCE ${schema}.attempts;
      CREATE FUNCTION ${schema}.fail() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM nextval(''${schema}.attempts''); RAISE disk_full; END';
      CREATE TRIGGER fail BEFORE INSERT ON ${schema}.events FOR EACH ROW EXECUTE FUNCTION ${schema}.fail()`);
    expect(await post([{ type: 'a' }])).toMatchObject({ status: 503 });
    const attempts = async () => Number(Object(await server.query(`TABLE ${schema}.attempts`))[0].last_value);
    const statuses = new Set<number>();
    // That of the event, and of reopening it.
    while ((await attempts()) < 4 && !statuses.has(200)) statuses.add(await status('/readyz'));
    expect([...statuses]).toEqual([503]);
    const words = () => log.filter(({ msg }) => msg === 'the event store works again');
    expect(words()).toEqual([]);
    await server.query(`DROP TRIGGER fail ON ${schema}.events`);
    await becomes(200);
    expect(words()).toHaveLength(1);
    expect(await all(url, '/events')).toEqual([]);
    expect(await post([{ type: 'a' }])).toMatchObject({ status: 201 });
  });

  it('that may only be read from now on is missed, until it may be written again', async () => {
    const server = await postgres();
    const databaseUrl = await server.newUrl();
    const user = `user_of_${schemaOf(databaseUrl)}`;
    await server.query(`CREATE ROLE ${user} SUPERUSER LOGIN`);
    const url = new URL(databaseUrl);
    url.username = user;
    const { log, post, status, becomes } = await storingApp(url.href);
    expect(await post([{ type: 'a' }])).toMatchObject({ status: 201 });
    await server.query(`ALTER ROLE ${user} SET default_transaction_read_only = on`);
    await server.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${user}'`);
    await becomes(503);
    const reasons = () => log.map(({ reason }) => String(reason));
    await expect.poll(reasons).toContainEqual(expect.stringContaining('it can only be read'));
    expect(await status('/readyz')).toBe(503);
    await server.query(`ALTER ROLE ${user} SET default_transaction_read_only = off`);
    await becomes(200);
    expect(await post([{ type: 'a' }])).toMatchObject({ status: 201 });
  });

  it('that opens but cannot commit is tried again more and more seldom', async () => {
    const server = await postgres();
    const databaseUrl = await server.newUrl();
    const { log, post } = await storingApp(databaseUrl);
    const schema = schemaOf(databaseUrl);
    await server.query(`
      CREATE FUNCTION ${schema}.fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no room''; END';
      CREATE TRIGGER fail BEFORE INSERT ON ${schema}.events
        FOR EACH ROW WHEN (NEW.type = 'a') EXECUTE FUNCTION ${schema}.fail()`);
    const failures = () => log.filter(({ reason }) => typeof reason === 'string' && reason.includes('no room')).length;
    for (const until = performance.now() + 3000; performance.now() < until; ) await post([{ type: 'a' }]);
    // After 0.25, 0.5, 1 and 2 s, of which a random half is taken off.
    expect(failures()).toBeGreaterThan(1);
    expect(failures()).toBeLessThan(8);
    await server.query(`DROP TRIGGER fail ON ${schema}.events`);
    await expect.poll(async () => (await post([{ type: 'a' }])).status).toBe(201);
  });

  it('gets no more connections from a process than its share, however many read', async () => {
    const server = await postgres();
    const { url, post } = await storingApp(await server.newUrl());
    await post([{ type: 'a' }]);
    const reading = Array.from({ length: 30 }, () => all(url, '/events'));
    const posting = Array.from({ length: 50 }, () => post([{ type: 'a' }]));
    await Promise.all([...reading, ...posting]);
    const connections = await server.query(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'mainstay events'`,
    );
    // Of two workers: half of those that read, and one that writes.
    expect(connections.length).toBeLessThanOrEqual(8 / 2 + 1);
  });
});

function schemaOf(databaseUrl: string): string {
  return /search_path%3D(\w+)/.exec(databaseUrl)?.[1] ?? '';
}
