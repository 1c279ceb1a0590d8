import type { FastifySchema, RouteOptions } from 'fastify';
import { PROBLEM_SCHEMA, PROBLEM_TYPE, problemOf } from '../../errors/problem.ts';
import { BODILESS } from '../../http/bodiless.ts';
import { REQUEST_ID_HEADER } from '../../http/request-id.ts';
import type { Answer, Content, Header, JsonSchema, OpenApi, Operation, Parameter, Ref } from './openapi.ts';

/** What the document tells of the service as a whole: package.json has it. */
export type About = { readonly name: string; readonly description: string; readonly version: string };

const OPERATIONS_TAG = 'operations';

/** In the order in which they are listed. */
const TAGS = [
  { name: 'service', description: 'What the service is for.' },
  { name: 'reference', description: 'This description of the service.' },
  { name: OPERATIONS_TAG, description: 'For whoever runs the service, and for what watches it.' },
];

/** OpenAPI 3.1 has no other methods. */
const METHODS: readonly string[] = ['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE'];

/** A parameter of a path, and the expression that may bound it; `*` is one, too. */
const IN_PATH = /:(\w+)(?:\([^/]*\))?\??|(\*)/g;

const REQUEST_ID: Header = {
  description: 'The id of the request, as in the log: the client’s own, if it sent a well-formed one.',
  required: true,
  schema: { type: 'string' },
};

const RETRY_AFTER: Header = {
  description: 'How many seconds to wait before trying again.',
  required: true,
  schema: { type: 'integer', minimum: 0 },
};

/** Of every answer. */
const HEADERS = { [REQUEST_ID_HEADER]: { $ref: '#/components/headers/RequestId' } };

const PROBLEM: Answer = {
  description: 'What is wrong.',
  headers: HEADERS,
  content: { [PROBLEM_TYPE.replace(/;.*/, '')]: { schema: { $ref: '#/components/schemas/Problem' } } },
};

/** The service as OpenAPI 3.1, which takes JSON Schema as it is: what the routes validate with is what is documented. */
export function openApiOf(routes: readonly RouteOptions[], { name, description, version }: About): OpenApi {
  const paths: Record<string, Record<string, Operation>> = {};
  // Tags of features come first, whatever they are.
  const rank = (route: RouteOptions) =>
    Math.max(
      0,
      TAGS.findIndex(({ name }) => name === tagsOf(route)[0]),
    );
  for (const route of routes.toSorted((one, other) => rank(one) - rank(other))) {
    const path = templateOf(route.url);
    for (const method of [route.method].flat().filter((each) => METHODS.includes(each))) {
      paths[path] = { ...paths[path], [method.toLowerCase()]: operationOf(method, route) };
    }
  }
  return {
    openapi: '3.1.1',
    info: { title: name, description, version },
    tags: TAGS.filter((tag) => routes.some((route) => tagsOf(route).includes(tag.name))),
    paths,
    components: {
      schemas: { Problem: PROBLEM_SCHEMA },
      headers: { RequestId: REQUEST_ID, RetryAfter: RETRY_AFTER },
      responses: {
        Problem: PROBLEM,
        Unavailable: {
          ...PROBLEM,
          headers: { ...HEADERS, 'retry-after': { $ref: '#/components/headers/RetryAfter' } },
        },
      },
    },
  };
}

/** @param url of a route, such as `/hello/:name`: here it is `/hello/{name}` */
export function templateOf(url: string): string {
  return url.replaceAll(IN_PATH, (_all, name = '*') => `{${name}}`);
}

function operationOf(method: string, route: RouteOptions): Operation {
  const { summary, description, body, requestBody, response } = route.schema ?? {};
  const content = requestBody?.content ?? (body === undefined ? undefined : contentOf(body));
  return {
    tags: tagsOf(route),
    ...(summary !== undefined && { summary }),
    ...(description !== undefined && { description }),
    parameters: parametersOf(route.url, route.schema ?? {}),
    ...(content && { requestBody: { required: true, content } }),
    responses: { ...errorsOf(method, route), ...answersOf(response ?? { 200: { description: 'OK' } }) },
  };
}

/** What any such route may answer: the service does, around it. A route's own are in its schema. */
function errorsOf(method: string, route: RouteOptions): Record<string, Ref> {
  return {
    400: problemOf('The request is malformed, or does not match this description.'),
    ...(route.url.match(IN_PATH) && { 414: problemOf('A part of the path is too long.') }),
    ...(!BODILESS.has(method) && {
      413: problemOf('The body is too large.'),
      415: problemOf('The content type or encoding of the body is not supported.'),
    }),
    500: problemOf('The service failed. Quote the instance when you report it.'),
    ...(!isOperation(route) && {
      503: { $ref: '#/components/responses/Unavailable', description: 'The service is overloaded.' },
    }),
  };
}

function parametersOf(url: string, { params, querystring, headers }: FastifySchema): Parameter[] {
  const inPath = [...url.matchAll(IN_PATH)].map(([, name = '*']) => name);
  const { properties = {} } = (params ?? {}) as JsonSchema;
  return [
    ...inPath.map((name) => parameter('path', name, properties[name] ?? { type: 'string' }, true)),
    ...listed('query', querystring),
    ...listed('header', headers),
  ];
}

function listed(where: Parameter['in'], schema: unknown): Parameter[] {
  const { properties = {}, required = [] } = (schema ?? {}) as JsonSchema;
  return Object.entries(properties).map(([name, property]) =>
    // What has a default is required of the handler's type, not of the client.
    parameter(where, name, property, required.includes(name) && property.default === undefined),
  );
}

function parameter(where: Parameter['in'], name: string, property: JsonSchema, required: boolean): Parameter {
  const { description, ...schema } = property;
  return { name, in: where, required, ...(description !== undefined && { description }), schema };
}

/** By status, as in Fastify: the schema of what is answered as JSON, or what OpenAPI calls a response. */
function answersOf(response: unknown): Record<string, Answer | Ref> {
  const answers = Object.entries(response as Record<string, Answer | Ref | JsonSchema>);
  return Object.fromEntries(answers.map(([status, answer]) => [status.toUpperCase(), answerOf(answer)]));
}

function answerOf(answer: Answer | Ref | JsonSchema): Answer | Ref {
  if ('$ref' in answer) return answer as Ref;
  const { description = '', headers, ...schema } = answer as Answer;
  const content = contentOf(schema);
  return { description, headers: { ...HEADERS, ...headers }, ...(content && { content }) };
}

/** @returns undefined where nothing is said of a content, or that it is null: there is none */
function contentOf(schema: unknown): Content | undefined {
  const { content, type } = schema as { content?: Content; type?: string };
  if (content || type === undefined || type === 'null') return content;
  return { 'application/json': { schema: schema as JsonSchema } };
}

function tagsOf(route: RouteOptions): readonly string[] {
  return route.schema?.tags ?? [isOperation(route) ? OPERATIONS_TAG : 'service'];
}

function isOperation(route: RouteOptions): boolean {
  return route.config?.isOperation === true;
}
