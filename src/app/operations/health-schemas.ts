export const live = {
  summary: 'Does the process turn?',
  response: {
    200: {
      type: 'object',
      description: 'It does.',
      additionalProperties: false,
      required: ['status'],
      properties: { status: { const: 'ok' } },
    },
  },
} as const;

const state = { enum: ['starting', 'ready', 'draining', 'closed'] } as const;

const readiness = {
  type: 'object',
  additionalProperties: false,
  required: ['status'],
  properties: {
    status: { enum: [...state.enum, 'unavailable'] },
    failing: { type: 'array', items: { type: 'string' }, description: 'What is not there of what the service needs.' },
  },
} as const;

export const ready = {
  summary: 'Does it take requests?',
  response: {
    200: { ...readiness, description: 'It does.' },
    503: { ...readiness, description: 'It starts or drains, or something that it needs is not there.' },
  },
} as const;

const report = {
  type: 'object',
  additionalProperties: false,
  required: ['status', 'checks', 'version', 'node', 'worker', 'pid', 'uptimeSeconds'],
  properties: {
    status: { enum: ['ok', 'unavailable'] },
    checks: {
      type: 'object',
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['status'],
        properties: { status: { enum: ['ok', 'unavailable'] }, state, reason: { type: 'string' } },
      },
    },
    version: { type: 'string' },
    node: { type: 'string' },
    worker: { type: 'string', description: 'Which of several processes has answered.' },
    pid: { type: 'integer' },
    lastReload: {
      type: 'object',
      description: 'How the last rolling reload went, where there was one.',
      additionalProperties: false,
      required: ['result', 'at', 'ms'],
      properties: {
        result: { enum: ['ok', 'failed'] },
        at: { type: 'string', format: 'date-time' },
        ms: { type: 'number' },
        reason: { type: 'string' },
      },
    },
    uptimeSeconds: { type: 'integer' },
  },
} as const;

export const healthy = {
  summary: 'What is known of the process that answers',
  response: {
    200: { ...report, description: 'It takes requests.' },
    503: { ...report, description: 'It does not.' },
  },
} as const;
