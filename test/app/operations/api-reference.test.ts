import path from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import supertest from 'supertest';
import { describe, expect, it } from 'vitest';
import { readyApp } from '../../support/app.ts';
import { shippedDocument } from '../../support/documented-answers.ts';
import { ROOT } from '../../support/paths.ts';

describe('openapi.json', () => {
  it('is what the routes say: "npm run openapi" writes it anew', async () => {
    const text = `${JSON.stringify(await shippedDocument(), null, 2)}\n`;
    await expect(text).toMatchFileSnapshot(path.join(ROOT, 'openapi.json'));
  });

  it('is OpenAPI 3.1', async () => {
    const validator = new Validator();
    expect(await validator.validate(await shippedDocument())).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('has a summary of each operation', async () => {
    const paths: Record<string, Record<string, { summary?: string }>> = (await shippedDocument()).paths;
    for (const [url, operations] of Object.entries(paths)) {
      for (const [method, { summary }] of Object.entries(operations)) expect(summary, `${method} ${url}`).toBeTruthy();
    }
  });
});

describe('a route', () => {
  it('is documented by its schema, with the errors that any may answer', async () => {
    const { app } = await readyApp({}, (extended) => {
      const params = { type: 'object', properties: { id: { type: 'integer', description: 'Its number.' } } } as const;
      const body = { type: 'object', properties: { text: { type: 'string' } } } as const;
      const note = { type: 'object', description: 'The note.', properties: { text: { type: 'string' } } } as const;
      const response = { 200: note, 204: { type: 'null', description: 'None is left.' } } as const;
      extended.put('/notes/:id(\\d+)', { schema: { summary: 'Changes a note', params, body, response } }, () => ({}));
    });
    const { paths } = (await app.inject('/openapi.json')).json();
    expect(paths['/notes/{id}'].put).toEqual({
      tags: ['service'],
      summary: 'Changes a note',
      parameters: [{ name: 'id', in: 'path', required: true, description: 'Its number.', schema: { type: 'integer' } }],
      requestBody: {
        required: true,
        content: { 'application/json': { schema: { type: 'object', properties: { text: { type: 'string' } } } } },
      },
      responses: expect.objectContaining({
        200: {
          description: 'The note.',
          headers: { 'x-request-id': { $ref: '#/components/headers/RequestId' } },
          content: { 'application/json': { schema: { type: 'object', properties: { text: { type: 'string' } } } } },
        },
        204: {
          description: 'None is left.',
          headers: { 'x-request-id': { $ref: '#/components/headers/RequestId' } },
        },
        415: { $ref: '#/components/responses/Problem', description: expect.any(String) },
        503: { $ref: '#/components/responses/Unavailable', description: expect.any(String) },
      }),
    });
  });

  it('that says nothing of itself is in a valid document all the same', async () => {
    const { app } = await readyApp({}, (extended) => {
      extended.all('/files/*', () => 'any');
      extended.get('/optional/:part?', () => 'any');
    });
    const document = (await app.inject('/openapi.json')).json();
    expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(['/files/{*}', '/optional/{part}']));
    expect(await new Validator().validate(document)).toEqual({ valid: true });
  });
});

describe('the order of the reference', () => {
  const listed = (document: { paths: object }) => Object.keys(document.paths);

  it('is what the service is for, the reference itself, and operations', async () => {
    const paths = listed(await shippedDocument());
    expect(paths.indexOf('/docs')).toBeGreaterThan(paths.indexOf('/hello'));
    expect(paths.indexOf('/livez')).toBeGreaterThan(paths.indexOf('/docs'));
  });

  it('has nothing in it that only the status page loads', async () => {
    expect(listed(await shippedDocument()).filter((url) => url.startsWith('/status'))).toEqual(['/status']);
  });

  it('ends before operations where those are answered on another port', async () => {
    const { app } = await readyApp({ opsPort: 0 });
    const document = (await app.inject('/openapi.json')).json();
    expect(listed(document)).toContain('/docs');
    expect(listed(document)).not.toContain('/livez');
    expect(document.tags.map(({ name }: { name: string }) => name)).not.toContain('operations');
  });
});

describe('/docs', () => {
  it('is a page that loads nothing, and is allowed to load nothing', async () => {
    const { app } = await readyApp();
    const { text, headers } = await supertest(app.server)
      .get('/docs')
      .expect(200)
      .expect('content-type', 'text/html; charset=utf-8');
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; img-src data:;/);
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(text).not.toMatch(/<script|\ssrc=|@import|url\(|\son\w+=|\sstyle=/i);
    const links = [...text.matchAll(/href="([^"]*)"/g)].map(([, address]) => address ?? '');
    expect(links.filter((address) => !address.startsWith('#')).sort()).toEqual(['data:,', 'openapi.json']);
  });

  it('has a command for each operation, with the examples of its schema', async () => {
    const { app } = await readyApp({}, (extended) => {
      const name = { type: 'string', examples: ["d'Arc"] } as const;
      const params = { type: 'object', properties: { name } } as const;
      const needed = {
        type: 'object',
        required: ['n'],
        properties: { n: { type: 'integer', examples: [27] } },
      } as const;
      const content = { 'application/json': { schema: { type: 'object' }, example: { isIt: "it's" } } } as const;
      extended.put('/y/:name', { schema: { params, querystring: needed, requestBody: { content } } }, () => 'y');
    });
    const { body } = await app.inject('/docs');
    const shown = body.replaceAll(/&#(\d+);/g, (_all, code) => String.fromCharCode(Number(code)));
    expect(shown).toContain('<pre>curl localhost:3000/livez</pre>');
    expect(shown).toContain(
      `<pre>curl -X PUT 'localhost:3000/y/d'\\''Arc?n=27' -H 'content-type: application/json' -d '{"isIt":"it'\\''s"}'</pre>`,
    );
  });

  it('shows each operation, and what is in the document as text', async () => {
    const { app } = await readyApp({}, (extended) => {
      extended.get('/x', { schema: { summary: '<script>alert(1)</script> & more' } }, () => 'x');
    });
    const { text } = await supertest(app.server).get('/docs').expect(200);
    expect(text).toContain('<code><b>GET</b> /livez</code>');
    expect(text).toContain('<code><b>GET</b> /greet/{name}</code>');
    expect(text).toContain('<h2>operations</h2>');
    expect(text).toContain('&#60;script&#62;alert(1)&#60;/script&#62; &#38; more');
  });
});
