import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { afterAll, describe, onTestFinished } from 'vitest';
import { isPostgresInstalled, Postgres } from './postgres.ts';

/** The path of a database of this test's own, in a folder that is made with it; both are gone when the test ends. */
export function databaseFile(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'events-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'made/events.db');
}

let started: Promise<Postgres> | undefined;

/** A server for the tests of one file. */
export function postgres(): Promise<Postgres> {
  started ??= Postgres.start();
  return started;
}

afterAll(async () => (await started)?.end());

/** The database as another process has it open. */
export type OtherConnection = { readonly query: (text: string) => Promise<unknown[]> };

/** What the tests need to know of one kind of store. */
export type StoreKind = {
  /** A DATABASE_URL that nobody has used yet. */
  readonly newUrl: () => Promise<string>;
  readonly connect: (url: string) => Promise<OtherConnection>;
  /** Keeps all others from writing, until COMMIT. */
  readonly lock: string;
  readonly keysTable: string;
  /** Without this table nothing can be committed. */
  readonly neededTable: string;
  /** Lets it look as if a newer version of the service had made it. */
  readonly makeNewer: string;
};

export const SQLITE: StoreKind = {
  newUrl: async () => `file:${databaseFile()}`,
  connect: async (url) => {
    const database = new DatabaseSync(url.slice('file:'.length));
    onTestFinished(() => database.close());
    return {
      query: async (text) => {
        const statement = database.prepare(text);
        return text.startsWith('SELECT') ? statement.all() : [statement.run()];
      },
    };
  },
  lock: 'BEGIN IMMEDIATE',
  keysTable: 'idempotency_keys',
  neededTable: 'last_seq',
  makeNewer: 'PRAGMA user_version = 99',
};

const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, Number);

export const POSTGRESQL: StoreKind = {
  newUrl: async () => (await postgres()).newUrl(),
  connect: async (url) => {
    const client = new pg.Client({ connectionString: url, types });
    client.on('error', () => {});
    await client.connect();
    onTestFinished(() => client.end());
    return {
      query: async (text) =>
        [(await client.query(text)) as unknown].flat().flatMap((result) => (result as pg.QueryResult).rows),
    };
  },
  lock: 'BEGIN; LOCK TABLE event_last_seq',
  keysTable: 'event_keys',
  neededTable: 'event_last_seq',
  makeNewer: 'UPDATE event_schema SET version = 99',
};

/** Describes what holds wherever events are kept. */
export function onEachStore(suite: (kind: StoreKind) => void): void {
  describe('kept by SQLite', () => suite(SQLITE));
  describe.runIf(isPostgresInstalled)('kept by PostgreSQL', () => suite(POSTGRESQL));
}

export type Event = { seq: number; id?: string; type: string; value?: number; at: string; data?: unknown };
export type Totals = {
  type: string;
  minute?: string;
  count: number;
  sum: number | null;
  min: number | null;
  max: number | null;
  first: string;
  last: string;
};

export const NDJSON = { 'content-type': 'application/x-ndjson' };
export const JSON_TYPE = { 'content-type': 'application/json' };

export function lines(events: readonly unknown[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}

/** All of the array that an address answers, following its links. */
export async function all<Item>(url: string, path: string): Promise<Item[]> {
  const items: Item[] = [];
  for (let next: string | undefined = path; next !== undefined; ) {
    const response = await fetch(url + next);
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    items.push(...((await response.json()) as Item[]));
    next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1];
  }
  return items;
}

/** The totals as they have to be for these events. */
export function totalsOf(events: readonly Event[]): Totals[] {
  const types = [...new Set(events.map(({ type }) => type))].sort();
  return types.map((type) => {
    const ofType = events.filter((event) => event.type === type);
    const values = ofType.flatMap(({ value }) => (value === undefined ? [] : [value]));
    const times = ofType.map(({ at }) => at).sort();
    return {
      type,
      count: ofType.length,
      sum: values.reduce((sum, value) => sum + value, 0),
      min: values.length === 0 ? null : Math.min(...values),
      max: values.length === 0 ? null : Math.max(...values),
      first: times[0] ?? '',
      last: times.at(-1) ?? '',
    };
  });
}
