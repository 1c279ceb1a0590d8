import type { onRequestHookHandler } from 'fastify';
import type { Config } from '../../config/settings.ts';
import { FLUSH_MS } from '../../config/timing.ts';
import type { Requests } from '../http/requests.ts';
import type { App } from '../types.ts';
import type { Service } from './provider.ts';
import type { Tracing } from './tracing.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Sends the spans that are left, where there are any, and waits no longer than that. */
    readonly endTracing: (withinMs: number) => Promise<void>;
  }
}

/**
 * Traces requests with OpenTelemetry where OTEL_EXPORTER_OTLP_ENDPOINT says where to, and loads it only then:
 * docs/decisions/0015-tracing.md.
 */
export function traceRequests(app: App, config: Config, requests: Requests, service: Service): void {
  let tracing: Tracing | undefined;
  app.decorate('endTracing', async (withinMs: number) => tracing?.end(withinMs));
  if (config.otelExporterOtlpEndpoint === '') return;

  app.register(async () => {
    const { Tracing } = await import('./tracing.ts');
    tracing = new Tracing(config, service, app.log);
    requests.traceWith(tracing.spans);
  });
  const within: onRequestHookHandler = (_request, reply, done) => {
    const span = requests.of(reply)?.span;
    if (span === undefined) done();
    else span.within(done);
  };
  app.addHook('onRequest', within);
  // Once more, for a body arrives in the context of its connection.
  app.addHook('preHandler', within);
  app.addHook('onClose', async () => {
    // Whoever has begun it, waits for it as well.
    if (tracing?.isEnding === false) await tracing.end(FLUSH_MS);
  });
}
