import type { FastifyReply, FastifyRequest } from 'fastify';
import findMyWay, { type HTTPMethod } from 'find-my-way';
import type { OpsPort } from '../http/ops-port.ts';
import type { App } from '../types.ts';
import { PROBLEM_TYPE, problem } from './problem.ts';

/**
 * 404 for a path that nothing answers, 405 with `Allow` for one that answers other methods (RFC 9110, 15.5.6). Fastify
 * tells only the former, and does not let its router be asked, so the same router is filled a second time; it is
 * looked at only when nothing matched.
 */
export function answerUnmatched(app: App, opsPort: OpsPort | undefined): void {
  const paths = findMyWay({ maxParamLength: Number.MAX_SAFE_INTEGER });
  const methods = new Set<HTTPMethod>();

  app.addHook('onRoute', ({ method, url, config: { isOperation = false } = {} }) => {
    for (const known of [method].flat() as HTTPMethod[]) {
      if (paths.hasRoute(known, url)) continue;
      methods.add(known);
      paths.on(known, url, () => {}, { isOperation });
    }
  });

  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    const allowed = [...methods].filter((method) => {
      const found = paths.find(method, request.url);
      return found !== null && (opsPort?.serves(request, found.store.isOperation) ?? true);
    });
    if (allowed.length === 0) {
      const body = problem(404, 'NOT_FOUND', 'Nothing is served at this path.', request.id);
      return reply.code(404).type(PROBLEM_TYPE).send(JSON.stringify(body));
    }
    const allow = allowed.sort().join(', ');
    const body = problem(405, 'METHOD_NOT_ALLOWED', `This path supports ${allow} only.`, request.id);
    return reply.code(405).header('allow', allow).type(PROBLEM_TYPE).send(JSON.stringify(body));
  };

  // In a hook, before the body is read: what nobody will look at need not be received, parsed and complained about. In a context
  // of its own, which no route is in.
  app.register((unmatched, _options, done) => {
    unmatched.addHook('onRequest', answer);
    unmatched.setNotFoundHandler(answer);
    done();
  });
}
