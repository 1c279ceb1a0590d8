import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { context, DiagLogLevel, diag, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import type { TracerProvider } from '@opentelemetry/sdk-trace';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../../config/settings.ts';
import { Complaints } from '../complaints.ts';
import { tellReceivers } from './outgoing.ts';
import { type Service, tracerProvider } from './provider.ts';
import { RequestSpans } from './request-spans.ts';

const propagator = new W3CTraceContextPropagator();

// Once in a process, however many apps it has.
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
tellReceivers(propagator);

/** OpenTelemetry's tracing, from the start of an app to its end. Importing this loads OpenTelemetry. */
export class Tracing {
  readonly spans: RequestSpans;
  readonly #log: FastifyBaseLogger;
  readonly #provider: TracerProvider;
  readonly #isGlobal: boolean;
  #ending: Promise<void> | undefined;

  constructor(config: Config, service: Service, log: FastifyBaseLogger) {
    this.#log = log;
    // What is wrong with the settings is told, all of it; what goes wrong later, now and then.
    hearComplaints((complaint) => log.warn(complaint));
    this.#provider = tracerProvider(config, service, log);
    const complaints = new Complaints(log);
    hearComplaints((complaint) => complaints.say(complaint));
    // For spans that handlers begin of their own. Of several apps in a process, those go to the first.
    this.#isGlobal = trace.setGlobalTracerProvider(this.#provider);
    this.spans = new RequestSpans(this.#provider.getTracer(service.name, service.version), propagator);
  }

  /**
   * Sends what is left, and waits until it has arrived or the time is over. The first who calls this says how long.
   */
  end(withinMs: number): Promise<void> {
    this.#ending ??= this.#end(withinMs);
    return this.#ending;
  }

  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  async #end(withinMs: number): Promise<void> {
    // Sockets that were cut just now close in the next turn, and the requests on them end.
    await turn();
    await turn();
    const delivered = this.#provider.shutdown().then(
      () => undefined,
      (failure: unknown) => ({ err: failure }),
    );
    const problem = await Promise.race([delivered, sleep(withinMs, { withinMs }, { ref: false })]);
    if (problem !== undefined) this.#log.warn(problem, 'traces: the last spans were not delivered');
    if (this.#isGlobal) trace.disable();
  }
}

function hearComplaints(say: (complaint: string) => void): void {
  // The first texts say who complains and of what; objects after them may be what a stranger sent.
  const complain = (...said: unknown[]) => say(`traces: ${said.filter((part) => typeof part === 'string').join(': ')}`);
  const quiet = () => {};
  const logger = { error: complain, warn: complain, info: quiet, debug: quiet, verbose: quiet };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}
