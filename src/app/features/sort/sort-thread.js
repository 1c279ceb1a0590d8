// What a thread of the pool does. JavaScript, for nothing then has to be stripped in each new thread.

/**
 * Sorts as many random numbers from 0 to 1.
 *
 * @param {number} count
 * @returns {{ first: number, elapsedMs: number }} the smallest, and how long it took
 */
export default function sort(count) {
  const startedAt = performance.now();
  const numbers = Float64Array.from({ length: count }, Math.random).sort();
  return { first: numbers[0] ?? Number.NaN, elapsedMs: performance.now() - startedAt };
}
