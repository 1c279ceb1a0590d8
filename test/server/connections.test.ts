import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import v8 from 'node:v8';
import vm from 'node:vm';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Connections } from '../../src/server/connections.ts';

v8.setFlagsFromString('--expose-gc');
const collectGarbage: () => void = vm.runInNewContext('gc');

it('connections that have closed are not kept, though no others come', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const kept: WeakRef<object>[] = [];
  const server = createServer((socket) => {
    kept.push(new WeakRef(socket));
    socket.resume();
  });
  onTestFinished(() => {
    vi.useRealTimers();
    server.close();
  });
  const connections = new Connections(server, [], () => []);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  for (let client = 0; client < 20; client++) {
    const socket = connect(Number(Object(server.address()).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.end();
    await once(socket, 'close');
  }
  const left = () => {
    vi.advanceTimersByTime(5000);
    collectGarbage();
    return kept.filter((socket) => socket.deref()).length;
  };
  await expect.poll(left).toBeLessThan(3);
  expect(connections.count).toBe(0);
});
