import { randomInt } from 'node:crypto';
import type { Plugin } from '../types.ts';

const options = {
  schema: {
    summary: 'Draw a uniformly random whole number',
    querystring: {
      type: 'object',
      required: ['number'],
      // crypto.randomInt draws from fewer than 2^48 numbers, and both ends are among them here.
      properties: {
        number: {
          type: 'integer',
          minimum: 0,
          maximum: 2 ** 48 - 2,
          description: 'The largest number that may be drawn.',
          examples: [27],
        },
      },
    },
    response: {
      200: {
        description: 'A number from 0 to `number`, both included.',
        content: { 'text/plain': { schema: { type: 'string', pattern: '^\\d+$' }, example: '13' } },
      },
    },
  },
} as const;

/** A uniformly distributed random whole number from 0 to `number`, both included: `GET /random?number=27` → `13`. */
export const random: Plugin = (app, _options, done) => {
  for (const path of ['/random', '/']) {
    app.get(path, options, (request, reply) => {
      // A number from a cache is not random.
      reply.header('cache-control', 'no-store');
      return String(randomInt(request.query.number + 1));
    });
  }
  done();
};
