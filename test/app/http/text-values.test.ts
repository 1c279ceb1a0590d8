import { describe, expect, it } from 'vitest';
import { readyApp } from '../../support/app.ts';

const querystring = {
  type: 'object',
  properties: {
    whole: { type: 'integer' },
    fraction: { type: 'number' },
    flag: { type: 'boolean' },
    ids: { type: 'array', items: { type: 'integer' } },
    words: { type: 'array', items: { type: 'string' } },
    maybe: { type: ['integer', 'null'] },
    either: { anyOf: [{ type: 'integer' }, { type: 'string', enum: ['all'] }] },
    text: { type: 'string' },
  },
} as const;

const ask = async (query: string) => {
  const { app } = await readyApp({}, (extended) =>
    extended.get('/typed', { schema: { querystring } }, (request) => request.query),
  );
  return app.inject(`/typed?${query}`);
};

describe('a query', () => {
  it.each([
    ['whole=7&fraction=-1.5&flag=true', { whole: 7, fraction: -1.5, flag: true }],
    ['ids=1', { ids: [1] }],
    ['ids=1&ids=2', { ids: [1, 2] }],
    ['words=1', { words: ['1'] }],
    ['maybe=3', { maybe: 3 }],
    ['maybe=', { maybe: null }],
    ['either=3', { either: 3 }],
    ['either=all', { either: 'all' }],
    ['text=7', { text: '7' }],
    ['text=true&unknown=1', { text: 'true', unknown: '1' }],
  ])('%s is read by its schema', async (query, value) => {
    const response = await ask(query);
    expect(response.json()).toEqual(value);
  });

  it.each([
    'whole=1e3',
    'whole=0x10',
    'whole=1.5',
    'whole=',
    `whole=${'9'.repeat(400)}`,
    'fraction=.5',
    'flag=yes',
    'flag=1',
    'ids=1&ids=x',
    'either=some',
    'text=1&text=2',
  ])('%s is refused', async (query) => {
    expect((await ask(query)).statusCode).toBe(400);
  });
});
