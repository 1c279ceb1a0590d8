import { type Dispatcher, Pool } from 'undici';
import type { EventService } from './event-stores.ts';
import { cpuMs, processTree } from './process-tree.ts';
import { percentile } from './statistics.ts';

/** What clients send. */
export type Load = {
  readonly name: string;
  readonly clients: number;
  readonly request: () => Asked;
  /** In each request. */
  readonly events: number;
};

export type Asked = Pick<Dispatcher.RequestOptions, 'method' | 'path' | 'headers' | 'body'>;

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
  const events = latencies.length * load.events;
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
async function send(url: string, { clients, request }: Load, until: number): Promise<number[]> {
  const pool = new Pool(url, { connections: clients });
  const latencies: number[] = [];
  const client = async () => {
    while (performance.now() < until) {
      const askedAt = performance.now();
      const { statusCode, body } = await pool.request(request());
      const text = await body.text();
      if (statusCode >= 300) throw new Error(`${statusCode}: ${text}`);
      latencies.push(performance.now() - askedAt);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  await pool.close();
  return latencies;
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
