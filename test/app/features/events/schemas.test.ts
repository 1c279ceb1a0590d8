import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { posting } from '../../../../src/app/features/events/schemas.ts';
import { NAME_MAX_CHARACTERS, VALUE_MAX } from '../../../../src/app/features/events/thread/limits.js';
import { readEvent } from '../../../../src/app/features/events/thread/read-event.js';

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);
const isDocumented = ajv.compile(posting.requestBody.content['application/json'].schema);
const isTaken = (event: unknown) => readEvent(event, 0, []).length === 0;

describe('the documented schema of an event', () => {
  it('has every event that is taken, and no other', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 2 * NAME_MAX_CHARACTERS });
    const anything = fc.oneof(text, fc.double(), fc.constant(null), fc.boolean(), fc.dictionary(text, text));
    const event = fc.record(
      {
        type: fc.oneof({ weight: 9, arbitrary: text }, anything),
        id: fc.oneof({ weight: 9, arbitrary: text }, anything),
        value: fc.oneof({ weight: 9, arbitrary: fc.double({ min: -2 * VALUE_MAX, max: 2 * VALUE_MAX }) }, anything),
        at: fc
          .date({ noInvalidDate: true, min: new Date('0000-01-01'), max: new Date('9999-12-31') })
          .map((at) => at.toISOString()),
        data: fc.jsonValue(),
        more: fc.constant(1),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      // As JSON has it: neither NaN nor -0.
      fc.property(
        event.map((each) => JSON.parse(JSON.stringify(each))),
        (sent) => {
          expect(isDocumented(sent), JSON.stringify(sent)).toBe(isTaken(sent));
        },
      ),
      { numRuns: 2000 },
    );
  });
});
