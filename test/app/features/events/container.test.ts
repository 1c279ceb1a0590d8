import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { buildImage, engine, startContainer } from '../../../support/container.ts';
import { JSON_TYPE } from './support.ts';

beforeAll(buildImage);

it('a container keeps events in its volume, for the container that follows', async () => {
  const volume = `mainstay-test-${process.pid}`;
  onTestFinished(async () => void (await engine('volume', 'rm', '--force', volume)));
  const options = [`--volume=${volume}:/app/data`];
  const first = await startContainer({}, options);
  await first.ready();
  const event = { type: 'kept', value: 7 };
  const posted = await fetch(`${first.url}/events`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify(event),
  });
  expect(posted.status).toBe(201);
  await engine('kill', '--signal=KILL', first.id);
  await first.ended();
  await engine('rm', first.id);
  const second = await startContainer({}, options);
  await second.ready();
  expect(await (await fetch(`${second.url}/events`)).json()).toMatchObject([event]);
});
