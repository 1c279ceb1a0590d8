/** Something of a process that is noted once a second, for `/status`. */
export type Vital = {
  /** By which processes of different versions understand each other. */
  readonly name: string;
  /** A `count` only grows, and what is noted is its increase a second. */
  readonly kind: 'level' | 'count';
  /** Always as many numbers: called once a second, so it is to be quick. */
  readonly read: () => readonly number[];
};

/** A line of a chart. */
export type Series = {
  readonly label: string;
  readonly vital: Vital;
  /** Makes one number of what each process has noted in a second. */
  readonly combine: (processes: readonly Readonly<Float64Array>[]) => number | null;
  /** Its name where it is one of the few that are told first, and of each process. */
  readonly headline?: string;
};

export type Unit = 'a second' | 'ms' | 'MiB' | 'percent' | 'number';

/** A chart. */
export type Panel = {
  readonly title: string;
  readonly unit: Unit;
  readonly series: readonly Series[];
};

export function level(name: string, read: () => number): Vital {
  return { name, kind: 'level', read: () => [read()] };
}

export function count(name: string, read: () => number): Vital {
  return { name, kind: 'count', read: () => [read()] };
}

export function sum(processes: readonly Readonly<Float64Array>[]): number {
  return sumAt(0)(processes);
}

/** Of those that have several numbers. */
export function sumAt(index: number): (processes: readonly Readonly<Float64Array>[]) => number {
  return (processes) => processes.reduce((total, process) => total + (process[index] ?? 0), 0);
}

export function mean(processes: readonly Readonly<Float64Array>[]): number {
  return sum(processes) / processes.length;
}

export function greatest(processes: readonly Readonly<Float64Array>[]): number {
  return Math.max(...processes.map(([value = 0]) => value));
}

/**
 * As Prometheus' histogram_quantile: as if all in a bucket were spread evenly over it, and its least bound for those in the last.
 *
 * @param q from 0 to 1
 * @param bounds the upper ones of all buckets but the last
 */
export function quantile(q: number, bounds: readonly number[]): Series['combine'] {
  return (processes) => {
    const counts = Array.from({ length: bounds.length + 1 }, (_, bucket) => sumAt(bucket)(processes));
    const all = counts.reduce((total, count) => total + count, 0);
    if (all === 0) return null;
    let before = 0;
    const found = counts.findIndex((inBucket) => {
      before += inBucket;
      return before >= q * all;
    });
    const above = bounds[found - 1] ?? 0;
    const inBucket = counts[found] ?? 0;
    const upTo = bounds[found] ?? above;
    return above + ((upTo - above) * (q * all - (before - inBucket))) / inBucket;
  };
}

/** What one process tells of itself once a second. Each feature may add charts of its own. */
export class Vitals {
  readonly panels: Panel[] = [];
  readonly #vitals = new Map<string, Vital>();
  /** What the counts were when they were last noted. */
  #before: readonly number[] = [];

  add(panel: Panel): void {
    this.panels.push(panel);
    for (const { vital } of panel.series) this.watch(vital);
  }

  /** What no chart shows is noted as well. */
  watch(vital: Vital): void {
    this.#vitals.set(vital.name, vital);
  }

  /** The names, and how many numbers each has, in the order in which they are noted. */
  get columns(): [name: string, width: number][] {
    return [...this.#vitals.values()].map(({ name, read }) => [name, read().length]);
  }

  /**
   * @param seconds since this was last called
   * @returns one after the other, counts as their increase in each of these seconds
   */
  note(seconds: number): number[] {
    const vitals = [...this.#vitals.values()].map(({ kind, read }) => ({ kind, now: read() }));
    const before = this.#before;
    this.#before = vitals.flatMap(({ now }) => now);
    let index = 0;
    return vitals.flatMap(({ kind, now }) =>
      now.map((value) => {
        const earlier = before[index++] ?? 0;
        return kind === 'count' ? (value - earlier) / seconds : value;
      }),
    );
  }
}
