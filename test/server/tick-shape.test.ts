import { expect, it } from 'vitest';
import { tickShape } from '../../src/server/tick-shape.ts';

it('an object of process.nextTick is kept, as Node makes them', () => {
  tickShape.keep();
  expect(tickShape.kept).toEqual(expect.objectContaining({ callback: expect.any(Function) }));
});
