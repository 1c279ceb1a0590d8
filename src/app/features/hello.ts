import type { Plugin } from '../types.ts';

const NAME_MAX_CHARACTERS = 100;

function greets(example: string) {
  const content = { 'text/plain': { schema: { type: 'string' }, example } } as const;
  return { 200: { description: 'The greeting.', content } } as const;
}

/** Greets: `GET /hello` → `Hello World !!!`, `GET /hello/John` → `Hello John!!!`. */
export const hello: Plugin = (app, _options, done) => {
  app.get('/hello', { schema: { summary: 'Greet the world', response: greets('Hello World !!!') } }, () =>
    greeting(''),
  );

  app.get(
    '/hello/:name',
    {
      schema: {
        summary: 'Greet someone by name',
        params: {
          type: 'object',
          required: ['name'],
          properties: {
            name: { type: 'string', maxLength: NAME_MAX_CHARACTERS, description: 'In any script.', examples: ['John'] },
          },
        } as const,
        response: greets('Hello John!!!'),
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
