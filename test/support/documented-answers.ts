import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifyReply } from 'fastify';
import { buildApp } from '../../src/app/app.ts';
import { templateOf } from '../../src/app/operations/api-reference/document.ts';
import type { Answer, OpenApi } from '../../src/app/operations/api-reference/openapi.ts';
import type { App } from '../../src/app/types.ts';

/** What the routes say of themselves, as shipped: without those that tests add. */
export async function shippedDocument(): Promise<OpenApi> {
  const app = buildApp({ databaseUrl: 'file::memory:', logLevel: 'silent' });
  try {
    return (await app.inject('/openapi.json')).json();
  } finally {
    await app.close();
  }
}

const document = await shippedDocument();

// It knows all of JSON Schema, and is to overlook what else is in the document.
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema(document, 'openapi.json');

/**
 * Compares whatever the app answers with what its routes say that they do. Those that are not in the document are a test's own.
 *
 * @returns what was not as documented, filled as answers go out
 */
export function checkAnswers(app: App): readonly string[] {
  const wrong: string[] = [];
  app.addHook('onSend', async (request, reply, payload) => {
    const url = templateOf(request.routeOptions.url ?? '');
    // Fastify answers HEAD as GET, and takes the body away later.
    const method = request.method.toLowerCase().replace('head', 'get');
    if (document.paths[url]?.[method]) {
      const mistakes = mistakesOf(reply, payload, ['paths', url, method, 'responses', String(reply.statusCode)]);
      wrong.push(...mistakes.map((mistake) => `${request.method} ${url} ${reply.statusCode}: ${mistake}`));
    }
    return payload;
  });
  return wrong;
}

function mistakesOf(reply: FastifyReply, payload: unknown, place: readonly string[]): string[] {
  const answer = at(place);
  if (answer === undefined) return ['this status is not documented'];
  if ('$ref' in answer) return mistakesOf(reply, payload, String(answer.$ref).split('/').slice(1));
  return [...headerMistakes(reply, answer as Answer, place), ...bodyMistakes(reply, payload, answer as Answer, place)];
}

function headerMistakes(reply: FastifyReply, { headers = {} }: Answer, place: readonly string[]): string[] {
  return Object.entries(headers).flatMap(([name, header]) => {
    const where = '$ref' in header ? header.$ref.split('/').slice(1) : [...place, 'headers', name];
    const { required, schema } = at(where) as { required?: boolean; schema: { type: string } };
    const value = reply.getHeader(name);
    if (value === undefined) return required ? [`there is no header ${name}`] : [];
    return invalid(schema.type === 'integer' ? Number(value) : value, [...where, 'schema'], `header ${name}`);
  });
}

function bodyMistakes(
  reply: FastifyReply,
  payload: unknown,
  { content = {} }: Answer,
  place: readonly string[],
): string[] {
  const type = String(reply.getHeader('content-type') ?? '').replace(/\s*;.*/, '');
  if (payload === null || payload === undefined || payload === '')
    return Object.keys(content).length > 0 ? ['there is no body'] : [];
  if (content[type] === undefined) return [`a body of the type "${type}" is not documented`];
  const body = /[/+]json$/.test(type) ? JSON.parse(String(payload)) : String(payload);
  return invalid(body, [...place, 'content', type, 'schema'], 'body');
}

function invalid(value: unknown, place: readonly string[], what: string): string[] {
  const pointer = place.map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
  const validate = ajv.getSchema(`openapi.json#/${pointer}`);
  if (validate === undefined) throw new Error(`openapi.json has no schema at ${pointer}`);
  return validate(value) ? [] : [ajv.errorsText(validate.errors, { dataVar: what })];
}

/** What is at a place in the document. */
function at(place: readonly string[]): Readonly<Record<string, unknown>> | undefined {
  let found: unknown = document;
  for (const key of place) found = (found as Record<string, unknown> | undefined)?.[key];
  return found as Readonly<Record<string, unknown>> | undefined;
}
