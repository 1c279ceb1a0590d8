import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { FastifyBaseLogger } from 'fastify';
import { Complaints } from '../complaints.ts';

/** Tells operators of spans that were not delivered, and nobody else: there is nothing that the service could do about it. */
export class WatchedExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #complaints: Complaints;

  constructor(exporter: SpanExporter, log: FastifyBaseLogger) {
    this.#exporter = exporter;
    this.#complaints = new Complaints(log);
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, ({ code, error }) => {
      if (code === ExportResultCode.FAILED) {
        this.#complaints.say('traces: spans were not delivered', { spans: spans.length, err: error });
      }
      done({ code: ExportResultCode.SUCCESS });
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}
