import { once } from 'node:events';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { cutStalledAnswers } from '../../../src/app/http/stalled-answers.ts';
import type { App } from '../../../src/app/types.ts';
import { listeningApp } from '../../support/app.ts';
import { RawConnection } from '../../support/raw.ts';

const STALLED_MS = 1500;

/** More than the buffers of two sockets hold. */
const LARGE = Buffer.alloc(32 * 1024 * 1024, 'x');

async function service(extend: (app: App) => void) {
  return listeningApp({}, (app) => {
    cutStalledAnswers(app, app.requests, { stalledMs: STALLED_MS, lookedForEveryMs: 20 });
    extend(app);
  });
}

it('an answer whose client has stopped reading is cut, and counted as one whose client left', async () => {
  const { app, url, log } = await service((extended) => {
    extended.get('/large', (_request, reply) => reply.send(LARGE));
  });
  const client = new RawConnection(url).send('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
  client.socket.pause();
  await expect.poll(() => app.requests.open.length).toBe(1);
  await expect.poll(() => app.requests.open.length, { timeout: 10_000 }).toBe(0);
  expect(log).toContainEqual(expect.objectContaining({ route: '/large', status: 499 }));
  client.socket.destroy();
});

it('an answer that is read slowly is not, nor a stream that has nothing to say', async () => {
  const quiet = new Readable({ read() {} });
  const { url } = await service((extended) => {
    extended.get('/large', (_request, reply) => reply.send(LARGE));
    extended.get('/quiet', (_request, reply) => reply.send(quiet));
  });
  const listener = new RawConnection(url).send('GET /quiet HTTP/1.1\r\nHost: x\r\n\r\n');
  quiet.push('begin.');
  await listener.until('begin.');

  const reader = new RawConnection(url).send('GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  let bytes = 0;
  const startedAt = performance.now();
  // A pause after each piece: all of it takes several times as long as nothing may move.
  reader.socket.on('data', (text: string) => {
    bytes += text.length;
    reader.socket.pause();
    setTimeout(() => reader.socket.resume(), 8);
  });
  await once(reader.socket, 'close');
  expect(bytes).toBeGreaterThan(LARGE.length);
  expect(performance.now() - startedAt).toBeGreaterThan(2 * STALLED_MS);

  quiet.push('end.');
  await listener.until('end.');
  listener.socket.destroy();
});
