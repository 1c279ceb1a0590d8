// What each service of the comparison under overload does for a request.
import { pbkdf2Sync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const ITERATIONS = Number(process.env.BURN_ITERATIONS);

/** Keeps the event loop busy, for some 5 ms where the iterations say so. */
export function burn() {
  pbkdf2Sync('password', 'salt', ITERATIONS, 32, 'sha256');
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
