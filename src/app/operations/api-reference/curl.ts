import type { Content, JsonSchema, Operation, Parameter } from './openapi.ts';

/** A command that makes such a request, with the examples that the schemas have. */
export function curlCommand(base: string, method: string, path: string, operation: Operation): string {
  const { parameters, requestBody } = operation;
  const needed = (where: Parameter['in']) => parameters.filter((each) => each.in === where && each.required);
  const filled = path.replaceAll(/\{([^}]*)\}/g, (template, name) =>
    encodeURIComponent(exampleOf(needed('path').find((each) => each.name === name)?.schema) ?? template),
  );
  const query = needed('query').map(({ name, schema }) => `${name}=${encodeURIComponent(exampleOf(schema) ?? '…')}`);
  const body = requestBody && bodyOf(requestBody.content);
  const url = `${base}${filled}${query.length > 0 ? `?${query.join('&')}` : ''}`;
  // With a body, curl posts by itself.
  const isUsual = method === (body ? 'post' : 'get');
  return ['curl', ...(isUsual ? [] : ['-X', method.toUpperCase()]), quoted(url), ...(body ?? [])].join(' ');
}

function bodyOf(content: Content): string[] | undefined {
  for (const [type, { example }] of Object.entries(content)) {
    if (example === undefined) continue;
    const text = typeof example === 'string' ? example : JSON.stringify(example);
    return ['-H', quoted(`content-type: ${type}`), '-d', quoted(text)];
  }
  return undefined;
}

function exampleOf(schema: JsonSchema | undefined): string | undefined {
  const [example] = schema?.examples ?? [];
  return example === undefined ? undefined : String(example);
}

/** For a shell, where it is not plain. */
function quoted(text: string): string {
  return /^[\w:/.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
