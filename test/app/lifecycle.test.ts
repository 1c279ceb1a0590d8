import { describe, expect, it } from 'vitest';
import { Lifecycle } from '../../src/app/lifecycle.ts';
import { listeningApp, readyApp } from '../support/app.ts';
import { RawConnection } from '../support/raw.ts';

describe('the lifecycle', () => {
  it('goes forwards only', () => {
    const lifecycle = new Lifecycle();
    const seen: string[] = [];
    lifecycle.on('change', (state) => seen.push(state));
    lifecycle.advance('ready');
    lifecycle.advance('draining');
    expect(() => lifecycle.advance('ready')).toThrow('cannot go from draining to ready');
    expect(() => lifecycle.advance('draining')).toThrow('cannot go from draining to draining');
    lifecycle.advance('closed');
    expect(seen).toEqual(['ready', 'draining', 'closed']);
  });

  it('may skip being ready, when a process is stopped while it starts', () => {
    const lifecycle = new Lifecycle();
    lifecycle.advance('draining');
    expect(lifecycle.state).toBe('draining');
  });
});

describe('while it drains, the app', () => {
  it('announces on every answer that the connection closes', async () => {
    const { app } = await readyApp();
    app.lifecycle.advance('ready');
    expect((await app.inject('/greet')).headers.connection).toBe('keep-alive');
    app.lifecycle.advance('draining');
    for (const url of ['/greet', '/nothing', '/count', '/greet/%E0%A4%A', '/livez']) {
      expect((await app.inject(url)).headers.connection).toBe('close');
    }
  });

  it('announces it on the answers that are in flight as well', async () => {
    let release = () => {};
    const { app, url } = await listeningApp({}, (extended) => {
      extended.get('/held', async () => {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return 'whole';
      });
    });
    const client = new RawConnection(url).send('GET /held HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => app.requests.open.length).toBe(1);
    app.lifecycle.advance('draining');
    release();
    const answer = await client.closed();
    expect(answer).toContain('Connection: close');
    expect(answer).toMatch(/whole$/);
  });

  it('answers all requests that were pipelined and are in flight, whatever has ended meanwhile', async () => {
    const releases: (() => void)[] = [];
    const { app, url } = await listeningApp({}, (extended) => {
      extended.get('/held/:name', async (request) => {
        await new Promise<void>((resolve) => releases.push(resolve));
        return `Hello ${(request.params as { name: string }).name}!!!`;
      });
    });
    const held = (name: string) => `GET /held/${name} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const earlier = new RawConnection(url).send(held('X'));
    await expect.poll(() => releases.length).toBe(1);
    const client = new RawConnection(url).send(held('A') + held('B'));
    await expect.poll(() => releases.length).toBe(3);
    releases[0]?.();
    await earlier.until('Hello X!!!');
    await expect.poll(() => app.requests.open.length).toBe(2);
    app.lifecycle.advance('draining');
    for (const release of releases) release();
    expect(await client.closed()).toMatch(/Hello A!!!.*Connection: close.*Hello B!!!$/s);
  });

  it('answers all requests that were pipelined, and announces it on the last', async () => {
    const { app, url } = await listeningApp();
    app.lifecycle.advance('ready');
    app.lifecycle.advance('draining');
    const request = (name: number) => `GET /greet/${name} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const client = new RawConnection(url).send([1, 2, 3, 4, 5].map(request).join(''));
    const answers = (await client.closed()).split('HTTP/1.1 200 OK').slice(1);
    expect(answers.map((answer) => /Hello (\d)!!!$/.exec(answer)?.[1])).toEqual(['1', '2', '3', '4', '5']);
    expect(answers.map((answer) => answer.includes('Connection: close'))).toEqual([false, false, false, false, true]);
  });
});
