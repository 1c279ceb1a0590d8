import { problemOf } from '../../errors/problem.ts';
import { BODY_MAX_BYTES, EVENTS_MAX } from './limits.ts';
import { DATA_MAX_BYTES, NAME_MAX_CHARACTERS, VALUE_MAX } from './thread/limits.js';

/** What no event can have: PostgreSQL does not even compare with it. */
const NO_NUL = '^[^\\0]*$';

const name = { type: 'string', minLength: 1, maxLength: NAME_MAX_CHARACTERS, pattern: NO_NUL } as const;
const time = { type: 'string', format: 'date-time' } as const;

const type = { ...name, description: 'What kind of event it is.' } as const;
const value = { type: 'number', minimum: -VALUE_MAX, maximum: VALUE_MAX, description: 'What is summed up.' } as const;
const data = { description: `Any JSON of up to ${DATA_MAX_BYTES} bytes.` } as const;
const at = { ...time, description: 'When it happened.' } as const;

/** As the thread reads it by hand (thread/read-event.js). */
const event = {
  type: 'object',
  additionalProperties: false,
  required: ['type'],
  properties: {
    type,
    id: { ...name, description: 'What is sent again with the same id is stored once.' },
    value,
    at: { ...at, description: 'When it happened; the time of arrival where it is not told.' },
    data,
  },
} as const;

const storedEvent = {
  type: 'object',
  additionalProperties: false,
  required: ['seq', 'type', 'at'],
  properties: {
    seq: { type: 'integer', minimum: 1, description: 'Its key, which grows from commit to commit.' },
    type,
    id: name,
    value,
    at,
    data,
  },
} as const;

const totals = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'count', 'sum', 'min', 'max', 'first', 'last'],
  properties: {
    minute: { ...time, description: 'Its begin, where it was asked by minute.' },
    type,
    count: { type: 'integer', minimum: 1 },
    sum: { type: 'number', description: '0 where no event has a value.' },
    min: { type: ['number', 'null'], description: 'Null where no event has a value.' },
    max: { type: ['number', 'null'], description: 'Null where no event has a value.' },
    first: { ...time, description: 'Of their `at`.' },
    last: { ...time, description: 'Of their `at`.' },
  },
} as const;

const link = {
  description: 'Where the next page is, `rel="next"`, while there is more.',
  schema: { type: 'string' },
} as const;

export const posting = {
  summary: 'Keeps events',
  description: `One event as JSON, or up to ${EVENTS_MAX} as lines of it, at most ${BODY_MAX_BYTES} bytes, also with content-encoding gzip. All of them are stored, or none. Without an answer, ask again: each is stored once by its id, or by the Idempotency-Key.`,
  headers: {
    type: 'object',
    properties: {
      'idempotency-key': {
        type: 'string',
        minLength: 1,
        maxLength: NAME_MAX_CHARACTERS,
        description: 'Names this body for a day, so that it is stored once.',
      },
    },
  },
  requestBody: {
    content: {
      'application/json': { schema: event, example: { type: 'score', value: 3 } },
      'application/x-ndjson': {
        schema: { type: 'string', description: 'Each line is an event as above.' },
        example: '{"type":"score","value":3,"id":"a"}\n{"type":"end","id":"b"}\n',
      },
    },
  },
  response: {
    201: {
      type: 'object',
      description: 'They are on the disk.',
      additionalProperties: false,
      required: ['accepted'],
      properties: {
        accepted: { type: 'integer', minimum: 1, description: 'How many, also those that were there before.' },
      },
    },
    422: problemOf('The Idempotency-Key was used for another body.'),
  },
} as const;

export const paging = {
  summary: 'Events by their keys',
  querystring: {
    type: 'object',
    required: ['after', 'limit'],
    properties: {
      type: { ...type, description: 'Only those of this type.' },
      after: {
        type: 'integer',
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        default: 0,
        description: 'The key of the last event that is known.',
      },
      limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    },
  },
  response: {
    200: {
      description: 'A page, which ends early where its events are large.',
      headers: { link },
      content: { 'application/json': { schema: { type: 'array', items: storedEvent } } },
    },
  },
} as const;

export const summing = {
  summary: 'What events add up to',
  querystring: {
    type: 'object',
    required: ['by', 'limit'],
    properties: {
      type: { ...type, description: 'Only those of this type.' },
      by: { enum: ['type', 'minute'], default: 'type', description: 'For each type, or each minute and type.' },
      after: {
        type: 'string',
        maxLength: 2 * NAME_MAX_CHARACTERS,
        pattern: NO_NUL,
        description: 'Where the page before ended: its link has it.',
      },
      limit: { type: 'integer', minimum: 1, maximum: 1000, default: 1000 },
    },
  },
  response: {
    200: {
      description: 'A page of totals, of exactly the events that can be read.',
      headers: { link },
      content: { 'application/json': { schema: { type: 'array', items: totals } } },
    },
  },
} as const;
