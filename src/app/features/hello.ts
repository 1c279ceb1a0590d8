import type { Plugin } from '../types.ts';

const NAME_MAX_CHARACTERS = 100;

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
