import { describe, expect, it } from 'vitest';
import { Queue } from '../../../../src/app/features/events/queue.ts';

const MB = 1024 * 1024;

function queue(unreadBytes = () => 0) {
  const cut: number[] = [];
  const waiting: Queue = new Queue(unreadBytes, (request) => {
    cut.push(request);
    waiting.take(request);
  });
  const begin = (expectedBytes: number, now: number) => waiting.addSubmission(expectedBytes, now).request;
  const grow = (request: number, bytes: number, now: number) => {
    const submission = waiting.arriving(request);
    if (submission === undefined) throw new Error('it does not arrive');
    return waiting.grow(submission, bytes, now);
  };
  return { waiting, begin, grow, cut };
}

const FULL = expect.objectContaining({ code: 'QUEUE_FULL' });

describe('the queue of the events', () => {
  it('keeps the place of a Content-Length, and no more when it has come', () => {
    const { waiting, begin, grow } = queue();
    const request = begin(20 * MB, 0);
    expect(waiting.bytes).toBe(20 * MB);
    expect(() => begin(16 * MB, 0)).toThrow(FULL);
    expect(grow(request, 20 * MB, 1)).toBe(true);
    expect(waiting.bytes).toBe(20 * MB);
    grow(request, MB, 2);
    expect(waiting.bytes).toBe(21 * MB);
    waiting.take(request);
    expect(waiting.bytes).toBe(0);
    expect(waiting.requests).toBe(0);
  });

  it('refuses while the thread has too much to read, of whomever that was', () => {
    let unread = 31 * MB;
    const { begin } = queue(() => unread);
    expect(() => begin(2 * MB, 0)).toThrow(FULL);
    unread = 0;
    begin(2 * MB, 0);
  });

  it('takes 10,000 requests, also of nothing, and quickly refuses more', () => {
    const { waiting, begin } = queue();
    for (let request = 0; request < 10_000; request++) waiting.complete(begin(0, 0));
    const startedAt = performance.now();
    for (let request = 0; request < 2000; request++) expect(() => begin(0, 5000)).toThrow(FULL);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  it('cuts the oldest of the slow ones when it is full, as many as it must', () => {
    const { waiting, begin, grow, cut } = queue();
    const fast = begin(0, 0);
    const slow = [begin(0, 0), begin(0, 0), begin(0, 0)];
    for (const request of slow) grow(request, 50_000, 0);
    grow(fast, 31 * MB, 0);
    expect(cut).toEqual([]);
    begin(900_000, 1500);
    expect(cut).toEqual(slow.slice(0, 1));
    expect(waiting.arriving(fast)).toBeDefined();
  });

  it('cuts what came fast and then stopped', () => {
    const { begin, grow, cut } = queue();
    const stopped = begin(0, 0);
    grow(stopped, 31 * MB, 100);
    expect(() => begin(2 * MB, 1100)).toThrow(FULL);
    begin(2 * MB, 2200);
    expect(cut).toEqual([stopped]);
  });

  it('cuts nobody who is complete, or has only begun, and nobody in vain', () => {
    const { waiting, begin, grow, cut } = queue();
    const complete = begin(0, 0);
    grow(complete, 20 * MB, 0);
    waiting.complete(complete);
    for (let request = 0; request < 5; request++) grow(begin(0, 0), 50_000, 0);
    expect(() => begin(16 * MB, 1500)).toThrow(FULL);
    begin(11 * MB, 1600);
    expect(() => begin(MB + 200_000, 1700)).toThrow(FULL);
    expect(cut).toEqual([]);
  });

  it('has nothing left of a request that was taken, whichever it was', () => {
    const { waiting, begin } = queue();
    const requests = [begin(100, 0), begin(200, 0), waiting.addRead().request];
    waiting.complete(requests[1] ?? 0);
    expect(waiting.takeAll()).toHaveLength(3);
    expect(requests.map((request) => waiting.take(request))).toEqual([undefined, undefined, undefined]);
    expect(waiting.bytes).toBe(0);
  });
});
