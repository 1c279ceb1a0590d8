import { availableParallelism } from 'node:os';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cpuMs } from '../../bench/process-tree.ts';
import { Service } from '../support/processes.ts';
import { RawConnection } from '../support/raw.ts';

const ENTRY = 'src/server/main.js';

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
}

/** Asks on a kept connection. @returns the answer, which contains this */
async function ask(connection: RawConnection, path: string, answer: string): Promise<string> {
  connection.received = '';
  return connection.send(get(path)).until(answer);
}

it.runIf(process.platform === 'linux')('leaves descriptors for the threads that do CPU work', async () => {
  const affordable = async (workers: string) => {
    const service = new Service(ENTRY, { WORKERS: workers }, { openFiles: 512 });
    await service.ready();
    return Number(service.log.find((line) => line.affordable !== undefined)?.affordable);
  };
  // One for each core, in one process; or one in each of many.
  const threads = availableParallelism();
  expect((await affordable(String(threads))) - (await affordable('1'))).toBeGreaterThanOrEqual((threads - 1) * 5);
});

describe.runIf(process.platform === 'linux')('a process that has no descriptor left', () => {
  it('serves those that it holds, refuses others without spinning, and takes them again later', async () => {
    const service = new Service(ENTRY, {}, { openFiles: 128 });
    const url = await service.ready();
    const held = new RawConnection(url);
    expect(await ask(held, '/take-descriptors', 'EMFILE')).toMatch(/^HTTP\/1.1 200 /);
    // The first scrape: what else it would load cannot be.
    expect(await ask(held, '/metrics', '\nhttp_connections_dropped_total')).toMatch(/^HTTP\/1.1 200 /);

    const crowd = Array.from({ length: 300 }, () => new RawConnection(url).send(get('/greet')));
    onTestFinished(() => crowd.forEach(({ socket }) => void socket.destroy()));
    await Promise.all(crowd.map((connection) => connection.closed()));
    const before = cpuMs([service.pid]);
    await ask(held, '/slow?ms=1000', 'slow, but whole');
    expect(cpuMs([service.pid]) - before).toBeLessThan(500);
    expect(await ask(held, '/health', '"status"')).toMatch(/^HTTP\/1.1 200 /);

    await ask(held, '/give-descriptors-back', 'given back');
    await new RawConnection(url).send(get('/greet')).until('Hello World !!!');
    service.child.kill('SIGTERM');
    expect(await service.ended()).toBe(0);
  });
});
