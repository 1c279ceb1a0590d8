import type { App } from '../types.ts';

const NUMBER = /^-?\d+(\.\d+)?$/;

/** The part of JSON Schema that says what a text stands for. */
type Schema = {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
};

/**
 * Query strings and paths arrive as text. Where a schema asks for a number, a boolean or a list, this makes one of it before
 * the validation; what is none stays text, and is refused by it. Ajv's own coercion, switched off in app.ts, takes `0x10`,
 * `1e3`, ` 7 ` and even `1e309` (infinite, and yet "integer") for numbers.
 */
export function readTextValues(app: App): void {
  app.addHook('onRoute', (route) => {
    const query = typed(route.schema?.querystring);
    const params = typed(route.schema?.params);
    if (query.length === 0 && params.length === 0) return;
    route.preValidation = [
      (request, _reply, next) => {
        replace(request.query as Record<string, unknown>, query);
        replace(request.params as Record<string, unknown>, params);
        next();
      },
      ...[route.preValidation ?? []].flat(),
    ];
  });
}

/** The properties that are to be something other than text. */
function typed(schema: unknown): [name: string, schema: Schema][] {
  const { properties = {} } = (schema ?? {}) as Schema;
  return Object.entries(properties).filter(([, property]) => typesOf(property).some((type) => type !== 'string'));
}

function typesOf({ type = [], anyOf = [], oneOf = [] }: Schema): string[] {
  return [type, [...anyOf, ...oneOf].flatMap(typesOf)].flat();
}

function replace(values: Record<string, unknown>, properties: [name: string, schema: Schema][]): void {
  for (const [name, schema] of properties) {
    if (values[name] !== undefined) values[name] = decode(values[name], schema);
  }
}

function decode(value: unknown, schema: Schema): unknown {
  const types = typesOf(schema);
  // Once is a list of one.
  if (types.includes('array')) return [value].flat().map((item) => decode(item, schema.items ?? {}));
  if (typeof value !== 'string') return value;
  if ((types.includes('integer') || types.includes('number')) && NUMBER.test(value)) {
    const number = Number(value);
    if (Number.isFinite(number)) return number;
  }
  if (types.includes('boolean') && (value === 'true' || value === 'false')) return value === 'true';
  if (types.includes('null') && value === '') return null;
  return value;
}
