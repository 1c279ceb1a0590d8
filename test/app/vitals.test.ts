import { describe, expect, it } from 'vitest';
import { Recording, SECONDS_KEPT } from '../../src/app/operations/status/recording.ts';
import { count, greatest, level, mean, quantile, sum, sumAt, Vitals } from '../../src/app/vitals.ts';

const of = (...values: number[]) => Float64Array.from(values);

describe('what processes noted is put together', () => {
  it('by sum, mean or the greatest', () => {
    const processes = [of(1, 10), of(5, 20)];
    expect(sum(processes)).toBe(6);
    expect(sumAt(1)(processes)).toBe(30);
    expect(mean(processes)).toBe(3);
    expect(greatest(processes)).toBe(5);
  });

  it('as quantiles of histograms', () => {
    const median = quantile(0.5, [10, 20]);
    expect(median([of(0, 0, 0)])).toBe(null);
    expect(median([of(10, 0, 0)])).toBe(5);
    expect(median([of(4, 0, 0), of(0, 4, 0)])).toBe(10);
    expect(median([of(0, 4, 0)])).toBe(15);
    // In the last bucket nobody knows how much more than its least bound it is.
    expect(median([of(0, 0, 4)])).toBe(20);
  });
});

it('vitals: levels are noted as they are, counts as their increase a second', () => {
  const vitals = new Vitals();
  let requests = 10;
  let waiting = 3;
  vitals.watch(count('requests', () => requests));
  vitals.watch(level('waiting', () => waiting));
  vitals.watch({ name: 'buckets', kind: 'count', read: () => [requests, 2 * requests] });
  expect(vitals.columns).toEqual([
    ['requests', 1],
    ['waiting', 1],
    ['buckets', 2],
  ]);
  expect(vitals.note(1)).toEqual([10, 3, 10, 20]);
  [requests, waiting] = [40, 1];
  expect(vitals.note(2)).toEqual([15, 1, 15, 30]);
});

describe('a recording', () => {
  const about = { pid: 1, worker: 'one', startedAt: 5, readyAt: 6 };
  const begin = () => {
    const vitals = new Vitals();
    vitals.watch(count('requests', () => 0));
    vitals.watch({ name: 'buckets', kind: 'count', read: () => [0, 0] });
    return Recording.begin(about, vitals);
  };

  it('keeps a quarter of an hour', () => {
    const recording = begin();
    const first = 1_800_000_000;
    for (let second = first; second <= first + SECONDS_KEPT; second++) recording.write(second, [second - first, 7, 8]);
    expect(recording.at(first, 'requests')).toBeUndefined();
    expect(recording.at(first + 1, 'requests')).toEqual(of(1));
    expect(recording.at(first + SECONDS_KEPT, 'buckets')).toEqual(of(7, 8));
    expect(recording.at(first + 1, 'of another version')).toBeUndefined();
    expect(recording.lastUntil(first + SECONDS_KEPT + 10)).toBe(first + SECONDS_KEPT);
    expect(recording.lastUntil(first + 3 * SECONDS_KEPT)).toBeUndefined();
  });

  it('is read from a copy of its bytes, also of a part of them', () => {
    const recording = begin();
    const { start, end } = recording.write(1_800_000_000, [1, 2, 3]);
    const copy = Recording.read(Buffer.from(recording.bytes));
    expect(copy?.about).toMatchObject(about);
    expect(copy?.at(1_800_000_000, 'buckets')).toEqual(of(2, 3));
    for (const length of [recording.head.end, start + 8, end - 1]) {
      expect(
        Recording.read(Buffer.from(recording.bytes.slice(0, length)))?.at(1_800_000_001, 'buckets'),
      ).toBeUndefined();
    }
  });

  it.each([0, 5, 8, 30, 100])('is none in %d bytes of something else', (length) => {
    expect(Recording.read(Buffer.alloc(length, 65))).toBeUndefined();
    expect(Recording.read(Buffer.alloc(length))).toBeUndefined();
  });
});
