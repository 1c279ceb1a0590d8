import { problemOf } from '../../errors/problem.ts';
import { BODY_MAX_BYTES, EVENTS_MAX } from './limits.ts';
import { DATA_MAX_BYTES, NAME_MAX_CHARACTERS, VALUE_MAX } from './thread/limits.js';

/** What no event can have: PostgreSQL does not even compare with it. */
const NO_NUL = '^[^\\0]*$';

const name = { type: 'string', minLength: 1, maxLength: NAME_MAX_CHARACTERS, pattern: NO_NUL } as const;
const time = { type: 'string', format: 'date-time' } as const;

const type = { ...name, description: 'The kind of event.' } as const;
const value = {
  type: 'number',
  minimum: -VALUE_MAX,
  maximum: VALUE_MAX,
  description: 'The number that totals are made of.',
} as const;
const data = { description: `Any JSON of up to ${DATA_MAX_BYTES} bytes.` } as const;
const at = { ...time, description: 'When it happened.' } as const;

/** As the thread reads it by hand (thread/read-event.js). */
const event = {
  type: 'object',
  additionalProperties: false,
  required: ['type'],
  properties: {
    type,
    id: { ...name, description: 'An event that is sent again with the same id is stored once.' },
    value,
    at: { ...at, description: 'When it happened; if left out, when it arrived.' },
    data,
  },
} as const;

const storedEvent = {
  type: 'object',
  additionalProperties: false,
  required: ['seq', 'type', 'at'],
  properties: {
    seq: { type: 'integer', minimum: 1, description: 'The key of the event; later commits have larger ones.' },
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
    minute: { ...time, description: 'The start of the minute, if totals were asked for by minute.' },
    type,
    count: { type: 'integer', minimum: 1 },
    sum: { type: 'number', description: '0 if no event has a value.' },
    min: { type: ['number', 'null'], description: 'Null if no event has a value.' },
    max: { type: ['number', 'null'], description: 'Null if no event has a value.' },
    first: { ...time, description: 'The earliest `at`.' },
    last: { ...time, description: 'The latest `at`.' },
  },
} as const;

const link = {
  description: 'The URL of the next page, as `rel="next"`, if there is more.',
  schema: { type: 'string' },
} as const;

export const posting = {
  summary: 'Store events',
  description: `One event as JSON, or up to ${EVENTS_MAX} as lines of JSON, at most ${BODY_MAX_BYTES} bytes, optionally with content-encoding gzip. Either all of them are stored or none. If there is no answer, repeat the request: each event is stored once by its id, or the whole body by its Idempotency-Key.`,
  headers: {
    type: 'object',
    properties: {
      'idempotency-key': {
        type: 'string',
        minLength: 1,
        maxLength: NAME_MAX_CHARACTERS,
        description: 'Identifies this body for a day: if it is sent again, it is stored once.',
      },
    },
  },
  requestBody: {
    content: {
      'application/json': { schema: event, example: { type: 'score', value: 3 } },
      'application/x-ndjson': {
        schema: { type: 'string', description: 'One event per line, each as above.' },
        example: '{"type":"score","value":3,"id":"a"}\n{"type":"end","id":"b"}\n',
      },
    },
  },
  response: {
    201: {
      type: 'object',
      description: 'The events are on disk.',
      additionalProperties: false,
      required: ['accepted'],
      properties: {
        accepted: {
          type: 'integer',
          minimum: 1,
          description: 'How many events the request had, including any that were stored before.',
        },
      },
    },
    422: problemOf('The Idempotency-Key was already used for another body.'),
  },
} as const;

export const paging = {
  summary: 'List events in the order of their keys',
  querystring: {
    type: 'object',
    required: ['after', 'limit'],
    properties: {
      type: { ...type, description: 'Only events of this type.' },
      after: {
        type: 'integer',
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        default: 0,
        description: 'Only events with a larger key: that of the last one known.',
      },
      limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    },
  },
  response: {
    200: {
      description: 'A page of events; it has fewer than `limit` if they are large.',
      headers: { link },
      content: { 'application/json': { schema: { type: 'array', items: storedEvent } } },
    },
  },
} as const;

export const summing = {
  summary: 'Totals of events',
  querystring: {
    type: 'object',
    required: ['by', 'limit'],
    properties: {
      type: { ...type, description: 'Only events of this type.' },
      by: {
        enum: ['type', 'minute'],
        default: 'type',
        description: 'Whether to make totals for each type, or for each minute and type.',
      },
      after: {
        type: 'string',
        maxLength: 2 * NAME_MAX_CHARACTERS,
        pattern: NO_NUL,
        description: 'Where the previous page ended, as in its link.',
      },
      limit: { type: 'integer', minimum: 1, maximum: 1000, default: 1000 },
    },
  },
  response: {
    200: {
      description: 'A page of totals, of exactly the events that can be listed.',
      headers: { link },
      content: { 'application/json': { schema: { type: 'array', items: totals } } },
    },
  },
} as const;
