/**
 * @typedef {{ count: number, sum: number, min: number | null, max: number | null, first: number, last: number }} Sums
 */

const MINUTE_MS = 60_000;

/** The totals of the new events of one commit, to be merged into those of the store: a row for each type, not for each event. */
export class BatchTotals {
  /** By type, and by the begin of the minute in it. @type {Map<string, Map<number, Sums>>} */
  #minutes = new Map();

  /**
   * @param {string} type
   * @param {number | null} value
   * @param {number} at
   */
  add(type, value, at) {
    const ofType = this.#minutes.get(type) ?? new Map();
    if (ofType.size === 0) this.#minutes.set(type, ofType);
    const minute = Math.floor(at / MINUTE_MS) * MINUTE_MS;
    const sums = ofType.get(minute);
    if (sums === undefined) {
      ofType.set(minute, { count: 1, sum: value ?? 0, min: value, max: value, first: at, last: at });
      return;
    }
    sums.count++;
    if (at < sums.first) sums.first = at;
    if (at > sums.last) sums.last = at;
    if (value === null) return;
    sums.sum += value;
    if (sums.min === null || value < sums.min) sums.min = value;
    if (sums.max === null || value > sums.max) sums.max = value;
  }

  /** @returns {Generator<[type: string, sums: Sums]>} */
  *byType() {
    for (const [type, ofType] of this.#minutes) yield [type, [...ofType.values()].reduce(merged)];
  }

  /** @returns {Generator<[minute: number, type: string, sums: Sums]>} */
  *byMinute() {
    for (const [type, ofType] of this.#minutes) for (const [minute, sums] of ofType) yield [minute, type, sums];
  }
}

/**
 * @param {Sums} a
 * @param {Sums} b
 * @returns {Sums}
 */
function merged(a, b) {
  return {
    count: a.count + b.count,
    sum: a.sum + b.sum,
    min: a.min === null || b.min === null ? (a.min ?? b.min) : Math.min(a.min, b.min),
    max: a.max === null || b.max === null ? (a.max ?? b.max) : Math.max(a.max, b.max),
    first: Math.min(a.first, b.first),
    last: Math.max(a.last, b.last),
  };
}
