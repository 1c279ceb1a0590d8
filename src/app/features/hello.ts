import type { Plugin } from '../types.ts';

const NAME_MAX_CHARACTERS = 100;

/** Longest percent-encoded form of one character: Hangul syllables decompose into three jamo of nine bytes each. */
const ENCODED_CHARACTER_BYTES = 27;

/** What the router must let through so that a name of 100 characters arrives; it counts encoded bytes. */
export const NAME_MAX_ENCODED_BYTES = NAME_MAX_CHARACTERS * ENCODED_CHARACTER_BYTES;

/** Greets: `GET /hello` → `Hello World !!!`, `GET /hello/John` → `Hello John!!!`. */
export const hello: Plugin = (app, _options, done) => {
  app.get('/hello', () => greeting(''));

  app.get(
    '/hello/:name',
    {
      schema: {
        params: {
          type: 'object',
          required: ['name'],
          properties: { name: { type: 'string', maxLength: NAME_MAX_CHARACTERS } },
        } as const,
      },
      // Measured in its shorter form: é is one character, also when it arrives as e and an accent, and so is क़, of which
      // composing makes two.
      preValidation: (request, _reply, next) => {
        const { name } = request.params;
        const composed = name.normalize('NFC');
        if (composed.length < name.length) request.params.name = composed;
        next();
      },
    },
    (request) => greeting(request.params.name.normalize('NFC')),
  );
  done();
};

function greeting(name: string): string {
  return `Hello ${name || 'World '}!!!`;
}
