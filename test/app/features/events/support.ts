import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** The path of a database of this test's own, in a folder that is made with it; both are gone when the test ends. */
export function databaseFile(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'events-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'made/events.db');
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
