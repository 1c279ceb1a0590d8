// What somebody who looks at /status costs four workers together, that have nothing else to do: `npm run bench:status`, two minutes.
// Rounds in which nobody looks, one does, and ten do take turns; what was kept before is told to each at once, and there is the more of
// it the longer the service has run, for up to a quarter of an hour. Linux only.
import { setTimeout as sleep } from 'node:timers/promises';
import { Launched } from './launched.ts';
import { preciseCpuMs, processTree } from './process-tree.ts';
import { markdownTable } from './report.ts';
import { median } from './statistics.ts';

const WORKERS = 4;
const WARMING_MS = 10_000;
const ROUNDS = 6;
const ROUND_MS = 5000;
/** Their leaving costs something, too, which belongs to nobody. */
const LEAVING_MS = 1000;
const VIEWERS = [0, 1, 10];

await using service = await Launched.start(['src/cluster/main.js'], { WORKERS: String(WORKERS) });
const cpuMs = () => preciseCpuMs(processTree(service.pid));

/** @returns what ends its look, once it has been told what was kept */
async function look(): Promise<() => void> {
  const leaving = new AbortController();
  const response = await fetch(`${service.url}/status/stream`, { signal: leaving.signal });
  if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!/event: beginning\n.*\n\n/.test(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ended before it began: ${text}`);
    text += value;
  }
  const readOn = async () => {
    while (!(await reader.read()).done);
  };
  readOn().catch(() => {});
  return () => leaving.abort();
}

await sleep(WARMING_MS);
const rounds = VIEWERS.map((viewers) => ({ viewers, beginnings: [] as number[], perSecond: [] as number[] }));
for (let round = 0; round < ROUNDS; round++) {
  for (const { viewers, beginnings, perSecond } of rounds) {
    const before = cpuMs();
    const leave = await Promise.all(Array.from({ length: viewers }, look));
    beginnings.push(cpuMs() - before);
    const told = cpuMs();
    await sleep(ROUND_MS);
    perSecond.push((cpuMs() - told) / (ROUND_MS / 1000));
    for (const end of leave) end();
    await sleep(LEAVING_MS);
  }
}

const spread = (values: readonly number[]) =>
  `${median(values).toFixed(1)} (${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)})`;
console.log(
  markdownTable([
    ['who look', 'to begin, ms of CPU', 'then, ms of CPU a second'],
    ...rounds.map(({ viewers, beginnings, perSecond }) => [viewers, spread(beginnings), spread(perSecond)]),
  ]),
);
