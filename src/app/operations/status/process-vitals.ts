import type { Server } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import type { Requests } from '../../http/requests.ts';
import { type Lifecycle, STATES } from '../../lifecycle.ts';
import {
  DURATION_BUCKETS_SECONDS,
  type Metrics,
  QUEUE_DELAY_BUCKETS_SECONDS,
  SHED_REASONS,
} from '../../metrics/metrics.ts';
import {
  count,
  greatest,
  level,
  mean,
  quantile,
  type Series,
  sum,
  sumAt,
  type Vital,
  type Vitals,
} from '../../vitals.ts';

const MIB = 1024 * 1024;

/** In which state the process is: not in a chart, but noted. */
export const STATE = 'state';

type Watched = {
  readonly server: Server;
  readonly lifecycle: Lifecycle;
  readonly requests: Requests;
  readonly metrics: Metrics;
  readonly isForUsers: (route: string) => boolean;
};

/** What is to be known of every process, whatever it is for. */
export function addProcessVitals(vitals: Vitals, { server, lifecycle, requests, metrics, isForUsers }: Watched): void {
  const outcomes: Vital = { name: 'outcomes', kind: 'count', read: () => metrics.outcomes(isForUsers) };
  const durations: Vital = { name: 'durations', kind: 'count', read: () => metrics.durations(isForUsers) };
  const durationAt = quantileOf(durations, DURATION_BUCKETS_SECONDS);
  const delays: Vital = { name: 'queue_delays', kind: 'count', read: () => metrics.queueDelays };
  const delayAt = quantileOf(delays, QUEUE_DELAY_BUCKETS_SECONDS);
  const utilization = level('utilization', utilizationSinceLast());

  vitals.watch(level(STATE, () => STATES.indexOf(lifecycle.state)));
  vitals.add({
    title: 'Requests',
    unit: 'a second',
    series: [
      { label: 'answered', headline: 'Requests', vital: outcomes, combine: sumAt(0) },
      { label: 'refused, 503', headline: 'Refused', vital: outcomes, combine: sumAt(1) },
      { label: 'failed, 5xx', vital: outcomes, combine: sumAt(2) },
    ],
  });
  vitals.add({
    title: 'Latency',
    unit: 'ms',
    series: [durationAt(50), durationAt(90), { ...durationAt(99), headline: 'Latency, p99' }],
  });
  vitals.add({
    title: 'Queue delay',
    unit: 'ms',
    series: [delayAt(50), { ...delayAt(99), headline: 'Queue delay, p99' }],
  });
  vitals.add({
    title: 'Utilisation of the event loops',
    unit: 'percent',
    series: [
      { label: 'mean', headline: 'Utilisation', vital: utilization, combine: mean },
      { label: 'busiest worker', vital: utilization, combine: greatest },
    ],
  });
  vitals.add({
    title: 'Connections',
    unit: 'number',
    series: [
      { label: 'open', headline: 'Connections', vital: level('connections', connectionsOf(server)), combine: sum },
      {
        label: 'requests in flight',
        headline: 'In flight',
        vital: level('in_flight', () => requests.inFlight),
        combine: sum,
      },
    ],
  });
  vitals.add({
    title: 'Memory',
    unit: 'MiB',
    series: [
      {
        label: 'resident',
        headline: 'Memory',
        vital: level('rss_mib', () => process.memoryUsage.rss() / MIB),
        combine: sum,
      },
      {
        label: 'heaps, used',
        vital: level('heap_mib', () => getHeapStatistics().used_heap_size / MIB),
        combine: sum,
      },
    ],
  });
  vitals.add({
    title: 'Shed',
    unit: 'a second',
    series: SHED_REASONS.map((reason) => ({
      label: reason,
      vital: count(`shed_${reason}`, () => metrics.shed[reason]),
      combine: sum,
    })),
  });
}

/** Of a histogram in seconds, in milliseconds. */
function quantileOf(vital: Vital, boundsSeconds: readonly number[]): (percent: number) => Series {
  const boundsMs = boundsSeconds.map((bound) => 1000 * bound);
  return (percent) => ({ label: `p${percent}`, vital, combine: quantile(percent / 100, boundsMs) });
}

function utilizationSinceLast(): () => number {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return 100 * utilization;
  };
}

/** Node tells how many there are a moment after it was asked: that is for the next time. */
function connectionsOf(server: Server): () => number {
  let connections = 0;
  return () => {
    server.getConnections((_error, open) => {
      connections = open;
    });
    return connections;
  };
}
