import type { RouteOptions } from 'fastify';
import { defaults } from '../../../config/settings.ts';
import { lateModule } from '../../late-modules.ts';
import { lazily } from '../../lazily.ts';
import type { App, Plugin } from '../../types.ts';
import type { About } from './document.ts';

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
  /** Whether operations are answered where the reference is. */
  readonly hasOperations: boolean;
};

/**
 * `/openapi.json`, the service as OpenAPI 3.1, and `/docs`, the same as a page for people. Each is made, and what makes it loaded,
 * when it is first asked for: most processes never are. They are for those who use the service, and so on the port that they use.
 */
export const apiReference: Plugin<ApiReferenceOptions> = (app, { routes, about, hasOperations }, done) => {
  const isListed = ({ schema, config }: RouteOptions) =>
    schema?.hide !== true && (hasOperations || config?.isOperation !== true);
  const document = lazily(async () => (await documents()).openApiOf(routes.filter(isListed), about));
  const page = lazily(async () => {
    const { port = defaults.port } = Object(app.server.address());
    return (await pages()).makePage(await document(), `localhost:${port}`);
  });
  const config = { isTraced: false };
  const tags = ['reference'] as const;

  app.get(
    '/openapi.json',
    {
      config,
      schema: {
        summary: 'This reference as OpenAPI 3.1',
        tags,
        response: { 200: { type: 'object', description: 'The OpenAPI document.' } },
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
        summary: 'This reference as a page',
        tags,
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
