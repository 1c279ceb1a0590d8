import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ConcurrencyLimit } from '../../../src/app/overload/concurrency-limit.ts';
import { Random } from '../../support/random.ts';

type Request = { readonly startedAt: number; state: 'open' | 'abandoned' | 'done' };
type Arrival = { readonly at: number; readonly kind: 'arrives' };
type Later = { readonly at: number; readonly kind: 'done' | 'gives up'; readonly request: Request };

/**
 * A queue in front of so many servers, on a clock of its own, with requests at random moments.
 *
 * @param servers of which each serves one request at a time, at a given time
 * @param serviceMs how long it takes one
 * @param patienceMs after which clients leave, and what was asked is done for nobody
 */
function simulate(
  perSecond: number,
  forMs: number,
  servers: (now: number) => number,
  serviceMs: (random: Random) => number,
  patienceMs = Number.POSITIVE_INFINITY,
) {
  const random = new Random(perSecond);
  const limit = new ConcurrencyLimit();
  const events: (Arrival | Later)[] = [{ at: 0, kind: 'arrives' }];
  const waiting: Request[] = [];
  const limits: { at: number; limit: number }[] = [];
  const answeredAt: number[] = [];
  let busy = 0;
  const serve = (now: number) => {
    while (busy < servers(now)) {
      const request = waiting.shift();
      if (request === undefined) return;
      busy++;
      events.push({ at: now + serviceMs(random), kind: 'done', request });
    }
  };
  const arrive = (now: number) => {
    events.push({ at: now - Math.log(1 - random.fraction()) * (1000 / perSecond), kind: 'arrives' });
    if (!limit.enter(now)) return;
    const request: Request = { startedAt: now, state: 'open' };
    waiting.push(request);
    if (Number.isFinite(patienceMs)) events.push({ at: now + patienceMs, kind: 'gives up', request });
  };
  for (let now = 0; now < forMs; ) {
    events.sort((a, b) => b.at - a.at);
    const event = events.pop();
    if (event === undefined) break;
    now = event.at;
    if (event.kind === 'arrives') arrive(now);
    else if (event.kind === 'done') {
      busy--;
      if (event.request.state === 'open') answeredAt.push(now);
      event.request.state = 'done';
      limit.leave(event.request.startedAt, now);
    } else if (event.request.state === 'open') {
      event.request.state = 'abandoned';
      limit.abandoned(event.request.startedAt);
    }
    serve(now);
    limits.push({ at: now, limit: limit.limit });
  }
  const between = (from: number, to: number) => {
    const seen = limits.filter(({ at }) => at >= from && at < to).map(({ limit }) => limit);
    return seen.reduce((sum, limit) => sum + limit, 0) / seen.length;
  };
  const answeredBetween = (from: number, to: number) =>
    (answeredAt.filter((at) => at >= from && at < to).length * 1000) / (to - from);
  return { limit, between, answeredBetween, answeredPerSecond: answeredBetween(0, forMs) };
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

  it.each([
    { patienceMs: 200, serviceMs: 50, servesWithinMs: 2000 },
    { patienceMs: 2000, serviceMs: 500, servesWithinMs: 8000 },
  ])('serves $serviceMs ms to clients that leave after $patienceMs, soon after far too many have come', (times) => {
    const { patienceMs, serviceMs, servesWithinMs } = times;
    const possible = 10_000 / serviceMs;
    const { answeredBetween } = simulate(
      5 * possible,
      servesWithinMs + 60_000,
      () => 10,
      () => serviceMs,
      patienceMs,
    );
    expect(answeredBetween(servesWithinMs, servesWithinMs + 60_000)).toBeGreaterThan(0.9 * possible);
  });

  it('is not lowered by a few clients that leave', () => {
    const limit = new ConcurrencyLimit();
    for (let request = 0; request < 64; request++) limit.enter(0);
    limit.enter(1);
    for (let request = 0; request < 50; request++) {
      limit.leave(1, 50);
      limit.enter(50);
    }
    for (let client = 0; client < 49; client++) limit.abandoned(1);
    expect(limit.limit).toBe(64);
    limit.abandoned(1);
    expect(limit.limit).toBe(32);
  });

  it('counts what a client has left behind until that is done, or for half a minute', async () => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const limit = new ConcurrencyLimit();
    for (let request = 0; request < 64; request++) limit.enter(0);
    const done = Promise.withResolvers<void>();
    const left = [limit.leaveAfter(done.promise, 0), limit.leaveAfter(new Promise(() => {}), 0)];
    expect(limit.enter(1)).toBe(false);
    done.reject(new Error('too late'));
    await left[0];
    expect(limit.enter(2)).toBe(true);
    vi.advanceTimersByTime(29_999);
    await Promise.resolve();
    expect(limit.enter(3)).toBe(false);
    vi.advanceTimersByTime(1);
    await left[1];
    expect(limit.enter(4)).toBe(true);
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
