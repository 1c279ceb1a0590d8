import { randomUUID } from 'node:crypto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../../config/settings.ts';
import { WatchedExporter } from './watched-exporter.ts';

/** Longer texts are cut off: clients choose some of them. */
const TEXT_MAX_CHARACTERS = 1024;

/** What the service is called. */
export type Service = { readonly name: string; readonly version: string };

/**
 * Collects spans and sends them in batches. It keeps 2,048 of them, and drops others until those are sent; what the exporter needs to
 * know beyond the endpoint (headers, certificates, time-out, compression) it reads from the standard environment variables.
 *
 * @see https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
export function tracerProvider(config: Config, service: Service, log: FastifyBaseLogger): TracerProvider {
  const exporter = new OTLPTraceExporter({ url: tracesUrl(config.otelExporterOtlpEndpoint) });
  return new TracerProvider({
    resource: resourceOf(service),
    sampler: samplerOf(config),
    spanLimits: { attributeValueLengthLimit: TEXT_MAX_CHARACTERS },
    spanProcessors: [new BatchSpanProcessor({ exporter: new WatchedExporter(exporter, log) })],
  });
}

function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`;
  return url.href;
}

/** The environment has the last word, as everywhere: OTEL_SERVICE_NAME, and OTEL_RESOURCE_ATTRIBUTES. */
function resourceOf({ name, version }: Service): Resource {
  const own = resourceFromAttributes({
    'service.name': name,
    'service.version': version,
    'service.instance.id': randomUUID(),
    // As in the log.
    'process.pid': process.pid,
  });
  const detectors = [resourceAttributesEnvDetector, serviceNameEnvDetector];
  return defaultResource().merge(own).merge(detectResources({ detectors }));
}

/** @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration */
function samplerOf({ otelTracesSampler, otelTracesSamplerArg }: Config): Sampler {
  const own = otelTracesSampler.replace('parentbased_', '');
  const root =
    own === 'always_on'
      ? new AlwaysOnSampler()
      : own === 'always_off'
        ? new AlwaysOffSampler()
        : new TraceIdRatioBasedSampler(otelTracesSamplerArg);
  return otelTracesSampler === own ? root : new ParentBasedSampler({ root });
}
