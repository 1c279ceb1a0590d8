import type { FastifyReply } from 'fastify';
import { Refusal } from '../../errors/refusal.ts';
import { lateModule } from '../../late-modules.ts';
import { lazily } from '../../lazily.ts';
import type { Plugin } from '../../types.ts';
import type { Vitals } from '../../vitals.ts';
import type { SupervisorState } from '../supervisor-state.ts';
import type { ReadRecordings } from './overview.ts';
import type { Viewers } from './viewers.ts';

const overviews = lateModule(() => import('./overview.ts'));
const viewing = lateModule(() => import('./viewers.ts'));
const pages = lateModule(() => import('./page.ts'));

export type StatusOptions = {
  readonly vitals: Vitals;
  readonly readRecordings: ReadRecordings;
  readonly supervisor: () => SupervisorState | undefined;
  readonly about: { readonly name: string; readonly version: string };
};

const showing = {
  summary: 'Live status page: all processes, the last 15 minutes',
  response: { 200: { description: 'The page.', content: { 'text/html': { schema: { type: 'string' } } } } },
} as const;

/** What the page loads is no interface for anybody else. */
const internal = { hide: true } as const;

/** `/status`, a live page of all processes of the service, whichever is asked: docs/decisions/0016-status.md. */
export const status: Plugin<StatusOptions> = (app, options, done) => {
  const { vitals, readRecordings, supervisor, about } = options;
  let viewers: Viewers | undefined;
  const makeViewers = lazily(async () => {
    const [{ Overview }, { Viewers }] = await Promise.all([overviews(), viewing()]);
    viewers = new Viewers(new Overview(vitals, readRecordings, supervisor), app.log);
    if (app.lifecycle.state === 'draining') viewers.end();
    return viewers;
  });
  const config = { isOperation: true };
  const page = lazily(async () => (await pages()).makePage(about));
  app.lifecycle.on('change', (state) => {
    if (state === 'draining') viewers?.end();
  });
  app.addHook('onClose', async () => viewers?.end());

  app.get('/status', { config, schema: showing }, async (_request, reply) => {
    const { html, policy } = await page();
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache');
    return reply.header('content-security-policy', policy).send(html);
  });

  app.get<{ Params: { script: string } }>(
    '/status/scripts/:script',
    { config, schema: internal },
    async (request, reply) => {
      const { scriptOf } = await pages();
      const script = scriptOf(request.params.script);
      if (script === undefined) throw new Refusal(404, 'NOT_FOUND', 'Nothing is served at this path.');
      return reply.type('text/javascript; charset=utf-8').header('cache-control', 'no-cache').send(script);
    },
  );

  app.get(
    '/status/stream',
    { config, exposeHeadRoute: false, schema: internal },
    async (request, reply: FastifyReply) => {
      const events = await (await makeViewers()).add(request.signal);
      app.requests.lasts(reply);
      // nginx would collect it otherwise; and where it ends, its connection is to end with it.
      reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').header('connection', 'close');
      return reply.type('text/event-stream').send(events);
    },
  );
  done();
};
