import { describe, expect, it } from 'vitest';
import { ConcurrencyLimit } from '../../../src/app/overload/concurrency-limit.ts';
import { Random } from '../../support/random.ts';

type Arrival = { readonly at: number; readonly isDone: false };
type Departure = { readonly at: number; readonly isDone: true; readonly startedAt: number };

/**
 * A queue in front of so many servers, on a clock of its own, with requests at random moments.
 *
 * @param servers of which each serves one request at a time, at a given time
 * @param serviceMs how long it takes one
 */
function simulate(
  perSecond: number,
  forMs: number,
  servers: (now: number) => number,
  serviceMs: (random: Random) => number,
) {
  const random = new Random(perSecond);
  const limit = new ConcurrencyLimit();
  const events: (Arrival | Departure)[] = [{ at: 0, isDone: false }];
  const waiting: number[] = [];
  const limits: { at: number; limit: number }[] = [];
  let busy = 0;
  let answered = 0;
  const serve = (now: number) => {
    while (busy < servers(now) && waiting.length > 0) {
      const startedAt = waiting.shift() ?? now;
      busy++;
      events.push({ at: now + serviceMs(random), isDone: true, startedAt });
    }
  };
  for (let now = 0; now < forMs; ) {
    events.sort((a, b) => b.at - a.at);
    const event = events.pop();
    if (event === undefined) break;
    now = event.at;
    if (event.isDone) {
      busy--;
      answered++;
      limit.leave(event.startedAt, now);
    } else {
      if (limit.enter(now)) waiting.push(now);
      events.push({ at: now - Math.log(1 - random.fraction()) * (1000 / perSecond), isDone: false });
    }
    serve(now);
    limits.push({ at: now, limit: limit.limit });
  }
  const between = (from: number, to: number) => {
    const seen = limits.filter(({ at }) => at >= from && at < to).map(({ limit }) => limit);
    return seen.reduce((sum, limit) => sum + limit, 0) / seen.length;
  };
  return { limit, between, answeredPerSecond: (answered * 1000) / forMs };
}

describe('the limit on concurrency', () => {
  it('is never touched by a route that is not open often', () => {
    const { limit, answeredPerSecond } = simulate(
      100,
      60_000,
      () => 10,
      () => 50,
    );
    expect(limit.limit).toBe(64);
    expect(answeredPerSecond).toBeCloseTo(100, -1);
  });

  it.each([1.5, 4])('finds out how many are served at a time, where %d times as many come', (times) => {
    const { between, answeredPerSecond } = simulate(
      200 * times,
      60_000,
      () => 10,
      () => 50,
    );
    expect(between(30_000, 60_000)).toBeGreaterThan(9);
    expect(between(30_000, 60_000)).toBeLessThan(16);
    expect(answeredPerSecond).toBeGreaterThan(185);
  });

  it('follows when fewer are served, and when more are', () => {
    const { between } = simulate(
      1000,
      180_000,
      (now) => (now > 60_000 && now < 120_000 ? 5 : 20),
      () => 50,
    );
    expect(between(40_000, 60_000)).toBeGreaterThan(17);
    expect(between(100_000, 120_000)).toBeLessThan(10);
    expect(between(160_000, 180_000)).toBeGreaterThan(17);
  });

  it('does not keep back what takes its time, but has room for all', () => {
    const { limit, answeredPerSecond } = simulate(
      2000,
      30_000,
      () => Number.POSITIVE_INFINITY,
      (random) => 20 + 60 * random.fraction(),
    );
    expect(limit.limit).toBeGreaterThan(90);
    expect(answeredPerSecond).toBeGreaterThan(1900);
  });

  it('counts a request that began before it was reached as open, but not as measured', () => {
    const limit = new ConcurrencyLimit();
    for (let request = 0; request < 64; request++) expect(limit.enter(0)).toBe(true);
    expect(limit.enter(1)).toBe(false);
    for (let request = 0; request < 64; request++) limit.leave(0, 10_000);
    expect(limit.limit).toBe(64);
    expect(limit.enter(10_000)).toBe(true);
  });
});
