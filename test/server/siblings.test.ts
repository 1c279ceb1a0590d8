import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { Siblings } from '../../src/server/siblings.ts';
import { SiblingsFolder } from '../../src/server/siblings-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const OTHERS = 40;

beforeEach(() => {
  vi.stubEnv('TMPDIR', temporaryFolder());
  return () => vi.unstubAllEnvs();
});

/** @param onQuestion does what each of the others does when it is asked */
async function amongOthers(onQuestion: (socket: Socket) => void): Promise<Siblings> {
  const folder = new SiblingsFolder(process.pid, 'test');
  for (let number = 1; number <= OTHERS; number++) {
    const other = createServer({ allowHalfOpen: true }, (socket) => {
      socket
        .on('error', () => {})
        .on('end', () => onQuestion(socket))
        .resume();
    });
    other.listen(folder.file(`${process.pid + number}.sock`));
    await once(other, 'listening');
    onTestFinished(() => void other.close());
  }
  return Siblings.join(folder, {});
}

it('asks eight siblings at a time: there are descriptors for so many', async () => {
  let open = 0;
  let most = 0;
  const siblings = await amongOthers((socket) => {
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      socket.end('answer\0');
    }, 20);
  });
  const { answers, missing } = await siblings.ask('question');
  expect(answers).toEqual(new Array(OTHERS).fill('answer'));
  expect(missing).toBe(0);
  expect(most).toBe(8);
});

it('waits for two seconds where none of many answers, and counts all as missing', async () => {
  const siblings = await amongOthers(() => {});
  const startedAt = performance.now();
  expect(await siblings.ask('question')).toEqual({ answers: [], missing: OTHERS });
  expect(performance.now() - startedAt).toBeLessThan(2900);
});
