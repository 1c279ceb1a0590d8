import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Turns } from '../../../src/app/overload/turns.ts';

const MAX_MS = 20;

/** An event loop on a clock of its own. */
class Loop {
  readonly ended: number[] = [];
  readonly turns: Turns;
  #now = 0;
  #cpuMs = 0;
  #activeMs = 0;

  constructor() {
    const clock = { now: () => this.#now, cpuMs: () => this.#cpuMs, activeMs: () => this.#activeMs };
    this.turns = new Turns(MAX_MS, (ms) => this.ended.push(ms), clock);
  }

  /** One that serves since so long that all of its code is compiled. */
  static async warm(): Promise<Loop> {
    const loop = new Loop();
    await loop.turn([1]);
    loop.work(1000);
    loop.idle(1000);
    return loop;
  }

  /** One that has had something to do all the time. */
  static async busy(): Promise<Loop> {
    const loop = await Loop.warm();
    for (let turn = 0; turn < 20; turn++) expect(await loop.turn([5])).toEqual([false]);
    return loop;
  }

  /** One that is asked for much more than it can do. */
  static async overloaded(): Promise<Loop> {
    const loop = await Loop.busy();
    expect(await loop.turn(times(100, 5))).toContain(true);
    return loop;
  }

  get now(): number {
    return this.#now;
  }

  get cpuMs(): number {
    return this.#cpuMs;
  }

  idle(ms: number): void {
    this.#now += ms;
  }

  work(ms: number, cpuMs = ms): void {
    this.#now += ms;
    this.#activeMs += ms;
    this.#cpuMs += cpuMs;
  }

  /**
   * A turn that found requests to read which take so long.
   *
   * @param cpuMs of it, for each
   * @returns which of them came late
   */
  async turn(requestsMs: readonly number[], cpuMs?: number): Promise<boolean[]> {
    const late = requestsMs.map((ms) => {
      const isLate = this.turns.isLate(this.#now);
      if (!isLate) this.work(ms, cpuMs);
      return isLate;
    });
    await turnOfLoop();
    return late;
  }
}

const times = (count: number, ms: number) => Array<number>(count).fill(ms);

describe('a turn of the event loop', () => {
  it('is late for those that are reached more than MAX_QUEUE_DELAY_MS after its first; the next one begins anew', async () => {
    const loop = await Loop.overloaded();
    const expected = [false, false, false, false, true, true, true, true];
    expect(await loop.turn(times(8, 5))).toEqual(expected);
    expect(await loop.turn(times(8, 5))).toEqual(expected);
  });

  it('may become two and a half times as long with a crowd that passes, until many are refused', async () => {
    const loop = await Loop.busy();
    for (let crowd = 0; crowd < 10; crowd++) {
      expect((await loop.turn(times(11, 5))).indexOf(true)).toBe(10);
      for (let turn = 0; turn < 10; turn++) expect(await loop.turn([5])).toEqual([false]);
    }
    expect((await loop.turn(times(30, 5))).indexOf(true)).toBe(10);
    expect((await loop.turn(times(30, 5))).indexOf(true)).toBe(4);
    for (let turn = 0; turn < 200; turn++) await loop.turn([5]);
    expect((await loop.turn(times(11, 5))).indexOf(true)).toBe(10);
  });

  it('is told of with its age when it ends', async () => {
    const loop = await Loop.busy();
    await loop.turn(times(3, 5));
    expect(loop.ended.at(-1)).toBe(15);
  });

  it('is late for nobody where the loop was idle before: a slow one', async () => {
    const loop = await Loop.warm();
    expect(await loop.turn([45, 1, 1, 1])).not.toContain(true);
    loop.idle(100);
    expect(await loop.turn([45, 1, 1, 1])).not.toContain(true);
  });

  it('is late after 50 ms for a crowd that hits an idle loop', async () => {
    const loop = await Loop.warm();
    expect((await loop.turn(times(20, 5))).indexOf(true)).toBe(10);
  });

  it('is late for nobody where another process had the core meanwhile', async () => {
    const loop = await Loop.overloaded();
    expect(await loop.turn(times(8, 5), 1)).not.toContain(true);
    expect(await loop.turn(times(8, 5), 4)).toContain(true);
  });

  it.each([0.25, 0.0625])(
    'may become as many times as long as its requests cost less than a millisecond: %d ms',
    async (ms) => {
      const loop = await Loop.overloaded();
      const longest = MAX_MS / ms;
      expect((await loop.turn(times(10_000, ms))).indexOf(true) * ms).toBeCloseTo(longest, 0);
    },
  );

  it('counts only requests that were taken among those that cost little', async () => {
    const loop = await Loop.busy();
    // 50 ms of work, and 200 that were refused: no more than ten have cost it.
    expect((await loop.turn([...times(10, 5), ...times(200, 0)])).slice(10)).not.toContain(false);
  });

  it.each([1, 5])(
    'is late for nobody, while all code is slow, until it has had a second of a core: %d ms of five',
    async (cpuMs) => {
      const loop = new Loop();
      while (loop.cpuMs < 950) expect(await loop.turn(times(10, 5), cpuMs)).not.toContain(true);
      loop.work(100);
      expect(await loop.turn(times(12, 5))).toContain(true);
    },
  );
});

describe('while connections are accepted', () => {
  it('requests are held, and make one turn when all have been', async () => {
    const loop = await Loop.warm();
    const { turns } = loop;
    const begun: number[] = [];
    for (let connection = 0; connection < 5; connection++) {
      turns.accepted();
      expect(turns.isAccepting).toBe(true);
      turns.afterAccepting((now) => begun.push(now));
      await turnOfLoop();
    }
    expect(begun).toEqual([]);
    loop.work(3);
    while (turns.isAccepting) await turnOfLoop();
    while (begun.length < 5) await turnOfLoop();
    expect(begun).toEqual(times(5, loop.now));
  });

  it.each([0.125, 4])('they are held for 50 ms of its CPU time at most, of which each turn takes %d', async (ms) => {
    const loop = await Loop.warm();
    const { turns } = loop;
    const startedAt = loop.now;
    let begunAt: number | undefined;
    turns.accepted();
    turns.afterAccepting(() => {
      begunAt = loop.now;
    });
    while (begunAt === undefined) {
      turns.accepted();
      // Of another process, that has the core as well, more than half.
      loop.work(3 * ms, ms);
      await turnOfLoop();
    }
    expect((begunAt - startedAt) / 3).toBeGreaterThanOrEqual(50);
    expect((begunAt - startedAt) / 3).toBeLessThanOrEqual(50 + 2 * ms);
  });

  it('no more than two thousand are held, however many come at once, until those have begun', async () => {
    const { turns } = await Loop.warm();
    let begun = 0;
    turns.accepted();
    for (let request = 0; request < 2000; request++) {
      expect(turns.isAccepting).toBe(true);
      turns.afterAccepting(() => begun++);
    }
    expect(turns.isAccepting).toBe(false);
    turns.accepted();
    expect(turns.isAccepting).toBe(false);
    while (begun < 2000) await turnOfLoop();
    turns.accepted();
    expect(turns.isAccepting).toBe(true);
  });
});
