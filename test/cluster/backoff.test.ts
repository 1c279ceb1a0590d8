import { describe, expect, it } from 'vitest';
import { replacementDelayMs, startBackoffMs } from '../../src/cluster/backoff.ts';

describe('the backoff after failed starts', () => {
  it('doubles from a quarter of a second to half a minute', () => {
    const longest = Array.from({ length: 10 }, (_, index) => startBackoffMs(index + 1, () => 0));
    expect(longest).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('is shortened by up to a half, by chance', () => {
    expect(startBackoffMs(3, () => 1)).toBe(500);
    expect(startBackoffMs(1000)).toBeGreaterThanOrEqual(15_000);
  });
});

it('a worker that had been ready is replaced at once, but at most once a second', () => {
  expect(replacementDelayMs(60_000)).toBe(0);
  expect(replacementDelayMs(1000)).toBe(0);
  expect(replacementDelayMs(300)).toBe(700);
});
