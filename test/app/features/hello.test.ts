import fc from 'fast-check';
import supertest from 'supertest';
import { describe, expect, it } from 'vitest';
import { readyApp } from '../../support/app.ts';

describe('GET /hello', () => {
  it.each([
    ['/hello', 'Hello World !!!'],
    ['/hello/', 'Hello World !!!'],
    ['/hello/John', 'Hello John!!!'],
    ['/hello/John?number=1', 'Hello John!!!'],
    ['/hello/Zo%C3%AB%20van%20Dam', 'Hello Zoë van Dam!!!'],
    ['/hello/%E5%BC%A0%E4%BC%9F', 'Hello 张伟!!!'],
    ['/hello/a%2Fb', 'Hello a/b!!!'],
    ['/hello/%2541', 'Hello %41!!!'],
  ])('answers %s with exactly %j', async (path, text) => {
    const { app } = await readyApp();
    await supertest(app.server)
      .get(path)
      .expect(200, text)
      .expect('content-type', 'text/plain; charset=utf-8')
      .expect('x-content-type-options', 'nosniff')
      .expect('content-length', String(Buffer.byteLength(text)));
  });

  it('composes the name before it measures it', async () => {
    const { app } = await readyApp();
    const decomposed = 'é'.normalize('NFD').repeat(100);
    const response = await app.inject(`/hello/${encodeURIComponent(decomposed)}`);
    expect(response.body).toBe(`Hello ${'é'.repeat(100)}!!!`);
  });

  it('takes a character for one, also when composing makes two of it', async () => {
    const { app } = await readyApp();
    const qa = '\u0958';
    const response = await app.inject(`/hello/${encodeURIComponent(qa.repeat(100))}`);
    expect(response.body).toBe(`Hello ${qa.normalize('NFC').repeat(100)}!!!`);
  });

  it('refuses 101 characters and says where', async () => {
    const { app } = await readyApp();
    const response = await app.inject(`/hello/${'a'.repeat(101)}`);
    expect(response.statusCode).toBe(400);
    expect(response.json().errors).toEqual([
      { in: 'path', pointer: '/name', detail: 'must NOT have more than 100 characters' },
    ]);
  });

  it('answers HEAD as GET without the body', async () => {
    const { app } = await readyApp();
    const response = await app.inject({ method: 'HEAD', url: '/hello/John' });
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-length']).toBe('13');
    expect(response.body).toBe('');
  });

  it('greets any name of up to 100 characters in any script', async () => {
    const { app } = await readyApp({ logLevel: 'silent' });
    const name = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 60 })
      .map((text) => text.normalize('NFC'))
      .filter((text) => text.isWellFormed() && !/^\.{1,2}$/.test(text));
    await fc.assert(
      fc.asyncProperty(name, async (text) => {
        const response = await app.inject(`/hello/${encodeURIComponent(text)}`);
        expect(response.statusCode).toBe(200);
        expect(response.body).toBe(`Hello ${text}!!!`);
      }),
      { numRuns: 500 },
    );
  });
});
