import type { RouteOptions } from 'fastify';
import { lateModule } from '../../late-modules.ts';
import { lazily } from '../../lazily.ts';
import type { App, Plugin } from '../../types.ts';
import type { About } from './document.ts';
import type { OpenApi } from './openapi.ts';

const documents = lateModule(() => import('./document.ts'));
const pages = lateModule(() => import('./page.ts'));

/** @returns the routes of all plugins, once they are loaded; to be called before they are */
export function listRoutes(app: App): readonly RouteOptions[] {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    // Fastify adds a HEAD to each GET, and says the same of both.
    if (route.method !== 'HEAD') routes.push(route);
  });
  return routes;
}

export type ApiReferenceOptions = {
  readonly routes: readonly RouteOptions[];
  readonly about: About;
};

/**
 * `/openapi.json`, the service as OpenAPI 3.1, and `/docs`, the same as a page for people. Each is made, and what makes it loaded,
 * when it is first asked for: most processes never are. They are for those who use the service, and so on the port that they use.
 */
export const apiReference: Plugin<ApiReferenceOptions> = (app, { routes, about }, done) => {
  const document = lazily(() => makeDocument(routes, about));
  const page = lazily(async () => (await pages()).makePage(await document()));
  const config = { isTraced: false };

  app.get(
    '/openapi.json',
    {
      config,
      schema: {
        summary: 'This API, as OpenAPI 3.1',
        response: { 200: { type: 'object', description: 'For programs that read OpenAPI.' } },
      } as const,
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-cache');
      return await document();
    },
  );

  app.get(
    '/docs',
    {
      config,
      schema: {
        summary: 'This API, as a page for people',
        response: { 200: { description: 'The page.', content: { 'text/html': { schema: { type: 'string' } } } } },
      } as const,
    },
    async (_request, reply) => {
      const { html, policy } = await page();
      reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache');
      return reply.header('content-security-policy', policy).send(html);
    },
  );
  done();
};

async function makeDocument(routes: readonly RouteOptions[], about: About): Promise<OpenApi> {
  const { openApiOf } = await documents();
  return openApiOf(routes, about);
}
