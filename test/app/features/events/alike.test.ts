import { createHash } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import type {
  EventStore,
  EventValues,
  Outcome,
  StoredEvent,
  Submission,
} from '../../../../src/app/features/events/store.ts';
import { openStore } from '../../../../src/app/features/events/thread/open-store.js';
import { Random } from '../../../support/random.ts';
import { isPostgresInstalled } from './postgres.ts';
import { POSTGRESQL, SQLITE, type StoreKind } from './support.ts';

/** `SEEDS=500 npx vitest run test/app/features/events/alike.test.ts` is the long form. */
const SEEDS = Number(process.env.SEEDS ?? 6);
const COMMITS = 30;

/** What sorts differently by UTF-16 units, by code points and by language, and what SQL and JSON write in their own way. */
const NAMES = [
  'a',
  'B',
  'b',
  'ä',
  'a b',
  ' a',
  "a'",
  'a"',
  'a\\',
  'a\n',
  '%',
  '_',
  '\u{ffff}',
  '\u{1f600}',
  'NULL',
  '10',
  '9',
];
/** Whose sums are exact in whatever order they are added. */
const VALUES = [null, null, 0, 1, -1, 0.25, 2 ** 40, -(2 ** 40)];
const TIMES = ['0000-01-01T00:00:00Z', '1969-12-31T23:59:59.999Z', '1970-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z'];
const DATA = [null, null, '{}', 'null', '[1,"\\u0000"]', '{"a":"\\"\\\\\\n"}', '"ä\u{1f600}"'];

/** What a store has to do, as plainly as it can be said. */
class Model {
  readonly events: Omit<StoredEvent, 'seq'>[] = [];
  readonly #ids = new Set<string>();
  readonly #keys = new Map<string, string>();

  commit(batch: readonly Submission[]): Outcome[] {
    return batch.map(({ values, key }) => {
      if (key !== undefined) {
        const bodyHash = Buffer.from(key.bodyHash).toString('hex');
        const known = this.#keys.get(key.name);
        if (known !== undefined) return known === bodyHash ? 'repeated' : 'key-reused';
        this.#keys.set(key.name, bodyHash);
      }
      const before = this.events.length;
      for (let index = 0; index < values.length; index += 5) this.#add(values.slice(index, index + 5));
      return { stored: this.events.length - before };
    });
  }

  #add([id, type, value, at, data]: EventValues): void {
    if (typeof id === 'string') {
      if (this.#ids.has(id)) return;
      this.#ids.add(id);
    }
    this.events.push({ id, type, value, at, data } as StoredEvent);
  }

  count(minute: number | undefined, type: string): number {
    const isIn = (at: number) => minute === undefined || Math.floor(at / 60_000) * 60_000 === minute;
    return this.events.filter((event) => event.type === type && isIn(event.at)).length;
  }
}

function randomEvent(random: Random, hasId: boolean): EventValues {
  const id = hasId && random.below(4) > 0 ? `${random.of(NAMES)}${random.below(20)}` : null;
  const at = random.below(3) === 0 ? Date.parse(random.of(TIMES)) : 1_700_000_000_000 + random.below(300_000);
  return [id, random.of(NAMES), random.of(VALUES), at, random.of(DATA)];
}

function randomSubmission(random: Random): Submission {
  const hasKey = random.below(3) === 0;
  const values = Array.from({ length: 1 + random.below(12) }, () => randomEvent(random, !hasKey)).flat();
  const bodyHash = createHash('sha256')
    .update(`${random.below(2)}`)
    .digest();
  return { values, key: hasKey ? { name: `${random.of(NAMES)}${random.below(3)}`, bodyHash } : undefined };
}

/** All there is to read, by pages of a random length. */
async function contents(store: EventStore, random: Random) {
  const events: StoredEvent[] = [];
  const type = random.below(2) === 0 ? undefined : random.of(NAMES);
  for (let hasMore = true; hasMore; ) {
    const page = await store.page({ after: events.at(-1)?.seq ?? 0, type, limit: 1 + random.below(50) });
    for (const event of page.events) {
      expect(event.seq).toBeGreaterThan(events.at(-1)?.seq ?? 0);
      events.push(event);
    }
    hasMore = page.hasMore;
  }
  const totals = [];
  const by = random.of(['type', 'minute'] as const);
  for (let after: string | undefined = ''; after !== undefined; ) {
    const query = { by, type, after: after || undefined, limit: 1 + random.below(20) };
    const page: Awaited<ReturnType<EventStore['summary']>> = await store.summary(query);
    totals.push(...page.totals);
    after = page.next;
  }
  // Keys grow; whether some are left out, is each store's own business.
  return { type, events: events.map(({ seq, ...event }) => event), totals };
}

async function opened({ newUrl }: StoreKind) {
  const url = await newUrl();
  const open = (mayCreate: boolean) => openStore(url, { mayCreate, readersMax: 2, doubt: () => {} });
  let store = await open(true);
  onTestFinished(() => store.close());
  return {
    get store() {
      return store;
    },
    reopen: async () => {
      await store.close();
      store = await open(false);
    },
  };
}

describe.runIf(isPostgresInstalled)('SQLite and PostgreSQL', () => {
  it.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
    'do and answer the same: whatever is sent (%i)',
    async (seed) => {
      const random = new Random(seed);
      const model = new Model();
      const sqlite = await opened(SQLITE);
      const postgres = await opened(POSTGRESQL);
      for (let commit = 0; commit < COMMITS; commit++) {
        const batch = Array.from({ length: 1 + random.below(8) }, () => randomSubmission(random));
        const expected = model.commit(batch);
        expect(await sqlite.store.commit(batch)).toEqual(expected);
        expect(await postgres.store.commit(batch)).toEqual(expected);
        if (random.below(10) === 0) await Promise.all([sqlite.reopen(), postgres.reopen()]);
        // Of which nothing is kept.
        if (random.below(10) === 0) await Promise.all([sqlite.store.tryWriting(), postgres.store.tryWriting()]);

        const reader = random.below(2 ** 31);
        const kept = await contents(sqlite.store, new Random(reader));
        expect(await contents(postgres.store, new Random(reader))).toEqual(kept);
        expect(kept.events).toEqual(model.events.filter(({ type }) => kept.type === undefined || type === kept.type));
        for (const { type, minute, count } of kept.totals) expect(count).toBe(model.count(minute, type));
      }
    },
  );
});
