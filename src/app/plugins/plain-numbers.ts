import type { App } from '../types.ts';

const NUMBER = /^-?\d+(\.\d+)?$/;

type Values = Record<string, unknown>;
type Properties = Record<string, { type?: string }>;

/**
 * Query strings and paths arrive as text. Where a schema asks for a number, a plain decimal becomes one before the
 * validation; anything else stays text and is refused by it. Ajv's own coercion, switched off in app.ts, takes `0x10`,
 * `1e3`, ` 7 ` and even `1e309` (infinite, and yet "integer") for numbers.
 */
export function readPlainNumbers(app: App): void {
  app.addHook('onRoute', (route) => {
    const query = numbersIn(route.schema?.querystring);
    const params = numbersIn(route.schema?.params);
    if (query.length === 0 && params.length === 0) return;
    route.preValidation = [
      (request, _reply, next) => {
        decode(request.query as Values, query);
        decode(request.params as Values, params);
        next();
      },
      ...[route.preValidation ?? []].flat(),
    ];
  });
}

function numbersIn(schema: unknown): string[] {
  const { properties = {} } = (schema ?? {}) as { properties?: Properties };
  return Object.keys(properties).filter((name) => ['integer', 'number'].includes(properties[name]?.type ?? ''));
}

function decode(values: Values, names: string[]): void {
  for (const name of names) {
    const text = values[name];
    if (typeof text !== 'string' || !NUMBER.test(text)) continue;
    const number = Number(text);
    if (Math.abs(number) <= Number.MAX_SAFE_INTEGER) values[name] = number;
  }
}
