export const live = {
  summary: 'Liveness: whether the process responds',
  response: {
    200: {
      type: 'object',
      description: 'The event loop is running.',
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
    failing: { type: 'array', items: { type: 'string' }, description: 'The dependencies that are unavailable.' },
  },
} as const;

export const ready = {
  summary: 'Readiness: whether requests may be sent here',
  response: {
    200: { ...readiness, description: 'The process is ready.' },
    503: {
      ...readiness,
      description: 'The process is starting or draining, or something it depends on is unavailable.',
    },
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
    worker: { type: 'string', description: 'Which of several processes answered.' },
    pid: { type: 'integer' },
    lastReload: {
      type: 'object',
      description: 'How the last rolling reload went, if there was one.',
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
  summary: 'Health of the process that answers, for people',
  response: {
    200: { ...report, description: 'The process is ready.' },
    503: { ...report, description: 'The process is not ready.' },
  },
} as const;
