const FIRST_MS = 250;
const CAP_MS = 30_000;

/** A worker that had become ready is replaced at once, but not more often than this in the same place. */
const READY_INTERVAL_MS = 1000;

/**
 * How long to wait before a worker that failed to start is started again: doubling from 250 ms to 30 s, of which a random
 * half is taken off, so that many that failed together do not come back together.
 *
 * @param failures how many starts in a row have failed in this place, at least 1
 */
export function startBackoffMs(failures: number, random: () => number = Math.random): number {
  const full = Math.min(CAP_MS, FIRST_MS * 2 ** (failures - 1));
  return Math.round(full * (1 - random() / 2));
}

/** How long to wait before a worker that had been ready is replaced, when the last start there was `sinceMs` ago. */
export function replacementDelayMs(sinceMs: number): number {
  return Math.max(0, Math.round(READY_INTERVAL_MS - sinceMs));
}
