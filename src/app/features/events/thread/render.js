/** @import { StoredEvent, Totals } from '../store.ts' */

const encoder = new TextEncoder();

/**
 * Events as JSON, put together by hand: their data is JSON text already.
 *
 * @param {StoredEvent[]} events
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function renderEvents(events) {
  return encoder.encode(`[${events.map(renderEvent).join(',')}]`);
}

/** @param {StoredEvent} event */
function renderEvent({ seq, id, type, value, at, data }) {
  const known = JSON.stringify({
    seq,
    ...(id !== null && { id }),
    type,
    ...(value !== null && { value }),
    at: new Date(at).toISOString(),
  });
  return data === null ? known : `${known.slice(0, -1)},"data":${data}}`;
}

/**
 * @param {Totals[]} totals
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function renderTotals(totals) {
  const rows = totals.map(({ type, minute, count, sum, min, max, first, last }) => ({
    ...(minute !== undefined && { minute: new Date(minute).toISOString() }),
    type,
    count,
    sum,
    min,
    max,
    first: new Date(first).toISOString(),
    last: new Date(last).toISOString(),
  }));
  return encoder.encode(JSON.stringify(rows));
}
