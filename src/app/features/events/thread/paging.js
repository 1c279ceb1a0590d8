import { PAGE_MAX_BYTES } from './limits.js';

/** @import { StoredEvent, SummaryQuery, Totals } from '../store.ts' */

/**
 * Ends a page where it has as many events, or as much data, as it may.
 *
 * @param {Iterable<StoredEvent>} rows from the first of the page on, one more than `limit` where there are
 * @param {number} limit
 */
export function pageOf(rows, limit) {
  /** @type {StoredEvent[]} */
  const events = [];
  let bytes = 0;
  for (const event of rows) {
    if (events.length === limit || bytes > PAGE_MAX_BYTES) return { events, hasMore: true };
    bytes += event.data?.length ?? 0;
    events.push(event);
  }
  return { events, hasMore: false };
}

/**
 * Ends a page of totals, and tells where it ended.
 *
 * @param {Totals[]} rows from the first of the page on, one more than `limit` where there are
 * @param {SummaryQuery} query
 */
export function totalsPageOf(rows, { by, limit }) {
  const totals = rows.slice(0, limit);
  const last = rows.length > limit ? totals.at(-1) : undefined;
  return { totals, next: last && (by === 'type' ? last.type : `${last.minute} ${last.type}`) };
}

/**
 * Where the page before ended, in which minute and type; before all of them where there was none, or where it is not ours.
 *
 * @param {string | undefined} after
 */
export function minuteCursor(after = '') {
  const [, minute, type = ''] = /^(-?\d{1,15}) (.*)$/s.exec(after) ?? [];
  return { minute: minute === undefined ? Number.MIN_SAFE_INTEGER : Number(minute), type };
}
