import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import type { EventService } from './event-stores.ts';
import { cpuMs, processTree } from './process-tree.ts';
import { percentile } from './statistics.ts';

/** What clients send. */
export type Load = {
  readonly name: string;
  readonly batch: number;
  readonly clients: number;
  readonly hasIds: boolean;
};

export type Round = {
  readonly rate: number;
  /** Of each event, in the processes of the service. */
  readonly cpuUs: number;
  /** Of each event, in the processes of the server in which it is kept, where there is one. */
  readonly serverCpuUs: number | undefined;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly loopP99Ms: number;
};

/** Each client sends its next request when the one before was acknowledged. */
export async function measure(service: EventService, load: Load, forMs: number): Promise<Round> {
  await loopDelay(service.url);
  const cpuBefore = usedMs(service.pid);
  const serverCpuBefore = usedMs(service.serverPid);
  const startedAt = performance.now();
  const latencies = await send(service.url, load, startedAt + forMs);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpu = usedMs(service.pid) - cpuBefore;
  const serverCpu = usedMs(service.serverPid) - serverCpuBefore;
  const events = latencies.length * load.batch;
  return {
    rate: events / seconds,
    cpuUs: (cpu * 1000) / events,
    serverCpuUs: service.serverPid === undefined ? undefined : (serverCpu * 1000) / events,
    latencyP50Ms: percentile(latencies, 50),
    latencyP99Ms: percentile(latencies, 99),
    loopP99Ms: await loopDelay(service.url),
  };
}

/** @returns how long each answer took, in milliseconds */
async function send(url: string, { batch, clients, hasIds }: Load, until: number): Promise<number[]> {
  const body = () => Array.from({ length: batch }, (_, index) => line(index, hasIds)).join('\n');
  // Made in advance where they may repeat: what the clients do costs the service its cores.
  const prepared = hasIds ? undefined : body();
  const pool = new Pool(url, { connections: clients });
  const latencies: number[] = [];
  const client = async () => {
    while (performance.now() < until) {
      const askedAt = performance.now();
      const { statusCode, body: answer } = await pool.request({
        path: '/events',
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: prepared ?? body(),
      });
      const text = await answer.text();
      if (statusCode !== 201) throw new Error(`${statusCode}: ${text}`);
      latencies.push(performance.now() - askedAt);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  await pool.close();
  return latencies;
}

function line(index: number, hasIds: boolean): string {
  const id = hasIds ? `"id":"${randomUUID()}",` : '';
  return `{${id}"type":"type-${index % 5}","value":${index % 1000},"data":{"player":"player-${index % 997}"}}`;
}

function usedMs(pid: number | undefined): number {
  return pid === undefined ? 0 : cpuMs(processTree(pid));
}

/** The worst of the workers that are found by asking some times. */
async function loopDelay(url: string): Promise<number> {
  const delays = new Map<number, number>();
  for (let asked = 0; asked < 20; asked++) {
    const response = await fetch(`${url}/loop-delay`, { headers: { connection: 'close' } });
    const { pid, p99Ms } = (await response.json()) as { pid: number; p99Ms: number };
    // Of one that is asked again the first answer counts: it has been reset since.
    if (!delays.has(pid)) delays.set(pid, p99Ms);
  }
  return Math.max(...delays.values());
}
