// What each service of the comparison under overload does for a request.
import { setTimeout as sleep } from 'node:timers/promises';

const BURN_MS = 5;

/**
 * Keeps the event loop busy, and a core, for 5 ms by the clock. The same work each time would take a third longer whenever the machine
 * is slower for a moment, and so would all that is compared with the capacity. (Linux tells the CPU time of a thread in steps of 4 ms.)
 */
export function burn() {
  for (const until = performance.now() + BURN_MS; performance.now() < until; );
  return 'burned';
}

const PERMITS = 10;
const HELD_MS = 50;

let free = PERMITS;
/** @type {(() => void)[]} */
const waiting = [];

/** Waits for one of ten permits, as for a connection of a database, and holds it for 50 ms. */
export async function usePool() {
  if (free > 0) free--;
  else await new Promise((resolve) => waiting.push(() => resolve(undefined)));
  await sleep(HELD_MS);
  const next = waiting.shift();
  if (next) next();
  else free++;
  return 'used';
}
