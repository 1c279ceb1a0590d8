import { connect } from 'node:net';
import type { Greeter } from './hello.ts';
import { cpuMs, processTree, rssBytes } from './process-tree.ts';
import { percentile } from './statistics.ts';

const CONNECTIONS = 64;

const REQUEST = Buffer.from('GET /hello/John HTTP/1.1\r\nHost: localhost\r\n\r\n');
const GREETING = 'Hello John!!!';

export type Round = {
  readonly perSecond: number;
  /** User and system time of all processes, microseconds for each request. */
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssMb: number;
};

/** A process that stood still, while others were asked, first has to get going again. */
const SETTLING_MS = 300;

/**
 * Asks for a greeting on 64 connections, on each as soon as the one before was answered. Bytes on sockets, without an HTTP
 * client: those cost more for a request than the fastest of the services, and would measure themselves. It never sleeps: to be
 * woken by each answer would cost the service up to half of its time, and the slower ones most.
 */
export async function greet({ url, pid }: Greeter, forMs: number): Promise<Round> {
  const { hostname, port } = new URL(url);
  const latencies: number[] = [];
  let cpuBefore = Number.NaN;
  let startedAt = Number.POSITIVE_INFINITY;
  const settled = setTimeout(() => {
    latencies.length = 0;
    cpuBefore = cpuMs(processTree(pid));
    startedAt = performance.now();
  }, SETTLING_MS);
  const client = () =>
    new Promise<void>((resolve, reject) => {
      let askedAt = 0;
      let received = '';
      const callback = (length: number, bytes: Uint8Array) => {
        received += Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1');
        if (!received.endsWith(GREETING)) return true;
        if (!received.startsWith('HTTP/1.1 200')) reject(new Error(received));
        received = '';
        const now = performance.now();
        latencies.push(now - askedAt);
        if (now - startedAt < forMs || startedAt > now) {
          askedAt = now;
          socket.write(REQUEST);
        } else {
          socket.destroy();
          resolve();
        }
        return true;
      };
      const onread = { buffer: Buffer.alloc(4096), callback };
      const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread });
      socket.on('connect', () => {
        askedAt = performance.now();
        socket.write(REQUEST);
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error(`closed after ${JSON.stringify(received)}`)));
    });
  let isOver = false;
  const neverSleep = () => {
    if (!isOver) setImmediate(neverSleep);
  };
  neverSleep();
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
  } finally {
    isOver = true;
    clearTimeout(settled);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const tree = processTree(pid);
  return {
    perSecond: latencies.length / seconds,
    cpuUs: ((cpuMs(tree) - cpuBefore) * 1000) / latencies.length,
    p50Ms: percentile(latencies, 50),
    p99Ms: percentile(latencies, 99),
    rssMb: tree.reduce((sum, process) => sum + rssBytes(process), 0) / 1024 / 1024,
  };
}
