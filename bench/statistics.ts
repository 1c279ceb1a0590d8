export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** @param percent 0 to 100 */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
}

/** Fewer have no tenth percentile but the least. */
const TENTHS_FROM = 10;

/** What `spread` of so many values tells. */
export function nameOfSpread(count: number): string {
  return count < TENTHS_FROM ? 'least and most' : 'tenth and ninetieth percentile';
}

export function spread(values: readonly number[]): [low: number, high: number] {
  const percent = values.length < TENTHS_FROM ? 0 : 10;
  return [percentile(values, percent), percentile(values, 100 - percent)];
}

export const CERTAINTY = 0.95;

export type Interval = { readonly low: number; readonly high: number; readonly certainty: number };

/**
 * Between which two of the values the true median lies, whatever they are distributed like: the narrowest pair, equally far from the
 * least and the most, that is certain by 95 %. Of fewer than six values no pair is, and it is the least and the most. Each value is
 * above the true median or below it like the side of a coin, so that the certainty is the binomial distribution's.
 *
 * @see W. J. Conover, "Practical Nonparametric Statistics", 3rd edition, 3.2: a confidence interval for a quantile
 */
export function medianInterval(values: readonly number[]): Interval {
  const sorted = [...values].sort((a, b) => a - b);
  const count = sorted.length;
  /** The probability that fewer than the next rank are on one side of the true median. */
  let tail = 0.5 ** count;
  let probability = tail;
  let rank = 0;
  while (rank + 1 < count / 2) {
    probability *= (count - rank) / (rank + 1);
    if (1 - 2 * (tail + probability) < CERTAINTY) break;
    tail += probability;
    rank++;
  }
  return { low: sorted[rank] ?? Number.NaN, high: sorted[count - 1 - rank] ?? Number.NaN, certainty: 1 - 2 * tail };
}
