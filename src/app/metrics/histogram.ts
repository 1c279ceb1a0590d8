import type { Metric, MetricValueWithName, Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

export type HistogramOptions = {
  readonly name: string;
  readonly help: string;
  /** Upper bounds, ascending, of all buckets but the last, which has none. */
  readonly buckets: readonly number[];
  readonly registry: Registry;
};

/**
 * One of prom-client's registry, for what is observed with each request. prom-client's own checks all labels and looks their text
 * up each time, which takes longer than many a handler; here whoever observes keeps the series.
 */
export class Histogram {
  readonly #options: HistogramOptions;
  readonly #series: Series[] = [];

  constructor(options: HistogramOptions) {
    this.#options = options;
    // What a registry asks of a metric. Its type names prom-client's classes, though it takes anything that has this.
    const metric = {
      name: options.name,
      help: options.help,
      type: 'histogram',
      aggregator: 'sum',
      get: async () => ({ ...metric, values: this.#series.flatMap((series) => series.values(options.name)) }),
    };
    options.registry.registerMetric(metric as unknown as Metric<string>);
  }

  /** A new one; to be asked for once for the same labels. */
  series(labels: Labels): Series {
    const series = new Series(labels, this.#options.buckets);
    this.#series.push(series);
    return series;
  }
}

export class Series {
  readonly #labels: Labels;
  readonly #bounds: readonly number[];
  /** Of each bucket by itself. */
  readonly #counts: number[];
  #sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#counts = new Array(bounds.length + 1).fill(0);
  }

  /** How many there were in each bucket, by itself. */
  get counts(): readonly number[] {
    return this.#counts;
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  observe(value: number, times = 1): void {
    let bucket = 0;
    while (value > (this.#bounds[bucket] ?? Number.POSITIVE_INFINITY)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + times;
    this.#sum += value * times;
  }

  /** As Prometheus has it: each bucket with all below it. */
  values(name: string): MetricValueWithName<string>[] {
    const labels = this.#labels;
    let count = 0;
    const buckets = this.#counts.map((more, bucket) => {
      count += more;
      return { metricName: `${name}_bucket`, labels: { le: this.#bounds[bucket] ?? '+Inf', ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
