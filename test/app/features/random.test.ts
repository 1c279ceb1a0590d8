import fc from 'fast-check';
import supertest from 'supertest';
import { describe, expect, it } from 'vitest';
import { readyApp } from '../../support/app.ts';

const LARGEST = 2 ** 48 - 2;

describe.each(['/random', '/'])('GET %s?number=N', (path) => {
  it('answers a whole number as text that no cache keeps', async () => {
    const { app } = await readyApp();
    await supertest(app.server)
      .get(`${path}?number=27`)
      .expect(200, /^\d+$/)
      .expect('content-type', 'text/plain; charset=utf-8')
      .expect('cache-control', 'no-store');
  });

  it.each([
    ['missing', ''],
    ['empty', '?number='],
    ['negative', '?number=-1'],
    ['fractional', '?number=1.5'],
    ['a word', '?number=many'],
    ['one too large', `?number=${LARGEST + 1}`],
    ['much too large', `?number=${'9'.repeat(400)}`],
    ['infinite', '?number=1e309'],
    ['exponential', '?number=1e3'],
    ['hexadecimal', '?number=0x10'],
    ['in spaces', '?number=%207%20'],
    ['signed', '?number=%2B7'],
    ['given twice', '?number=1&number=2'],
  ])('refuses a number that is %s', async (_what, query) => {
    const { app } = await readyApp();
    const response = await app.inject(path + query);
    expect(response.statusCode).toBe(400);
    expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(response.json()).toMatchObject({
      status: 400,
      code: 'VALIDATION_FAILED',
      errors: [{ in: 'query', pointer: '/number' }],
    });
  });

  it('shows whoever gives no number what to ask', async () => {
    const { app } = await readyApp();
    expect((await app.inject(path)).json().detail).toBe(
      `query/number is required, as in ${path}?number=27; /docs describes every route`,
    );
  });

  it('stays from 0 to the number, both included, however large', async () => {
    const { app } = await readyApp({ logLevel: 'silent' });
    expect((await app.inject(`${path}?number=0`)).body).toBe('0');
    expect((await app.inject(`${path}?number=${LARGEST}`)).statusCode).toBe(200);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: LARGEST }), async (number) => {
        const drawn = Number((await app.inject(`${path}?number=${number}`)).body);
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn <= number).toBe(true);
      }),
    );
  });
});

it('draws uniformly', async () => {
  const { app } = await readyApp({ logLevel: 'silent' });
  const counts = Array.from({ length: 28 }, () => 0);
  const draws = 28 * 200;
  for (let draw = 0; draw < draws; draw++) {
    const drawn = Number((await app.inject('/random?number=27')).body);
    counts[drawn] = (counts[drawn] ?? 0) + 1;
  }
  const expected = draws / counts.length;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  expect(counts).toHaveLength(28);
  // 27 degrees of freedom: a fair generator exceeds 77.19 once in a million runs.
  expect(chiSquare).toBeLessThan(77.19);
});
