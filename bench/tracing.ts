// What tracing costs: `npm run bench:tracing`, two minutes. One process each, with and without it, started several times and asked in
// turn, in short rounds. The receiver is a process of its own.
import { greet, type Round } from './greet.ts';
import { Launched } from './launched.ts';
import { markdownTable } from './report.ts';
import { wholeNumber } from './settings.ts';
import { median } from './statistics.ts';

const LAUNCHES = wholeNumber('LAUNCHES', 6, { most: 1000 });
const ROUNDS = 4;
const ROUND_MS = 1000;
const WARMING_MS = 2000;

const SINK = ['bench/peers/otlp-sink.js'];

await using receivers = new AsyncDisposableStack();
const receiver = async (environment: NodeJS.ProcessEnv = {}) => {
  const launched = await Launched.start(SINK, environment);
  receivers.defer(() => launched.stop());
  return { OTEL_EXPORTER_OTLP_ENDPOINT: launched.url };
};
const there = await receiver();
const hanging = await receiver({ HANGS: '1' });
const OF_100 = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.01' };
const contenders: readonly { readonly name: string; readonly environment: NodeJS.ProcessEnv; rounds: Round[] }[] = [
  { name: 'off', environment: {}, rounds: [] },
  { name: 'every request', environment: there, rounds: [] },
  { name: 'one of a hundred', environment: { ...there, ...OF_100 }, rounds: [] },
  { name: 'every request, and the receiver hangs', environment: hanging, rounds: [] },
];

for (let launch = 0; launch < LAUNCHES; launch++) {
  await using services = new AsyncDisposableStack();
  const started: { service: Launched; rounds: Round[] }[] = [];
  for (const { environment, rounds } of contenders) {
    const service = await Launched.start(['src/server/main.js'], environment);
    services.defer(() => service.stop());
    await greet(service, WARMING_MS);
    started.push({ service, rounds });
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const { service, rounds } of started) rounds.push(await greet(service, ROUND_MS));
  }
}

console.log(
  markdownTable([
    ['traced', 'CPU a request, µs', 'requests a second', 'p99, ms', 'MB resident'],
    ...contenders.map(({ name, rounds }) => [
      name,
      median(rounds.map(({ cpuUs }) => cpuUs)).toFixed(1),
      Math.round(median(rounds.map(({ perSecond }) => perSecond))),
      median(rounds.map(({ p99Ms }) => p99Ms)).toFixed(1),
      Math.round(median(rounds.map(({ rssMb }) => rssMb))),
    ]),
  ]),
);
