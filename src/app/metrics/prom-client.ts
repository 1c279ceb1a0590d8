import { createRequire } from 'node:module';
import type * as PromClient from 'prom-client';

const require = createRequire(import.meta.url);

// By its files: its index loads its default metrics as well, and these OpenTelemetry, which made a tenth of the start. Who scrapes
// loads them: Metrics#text.

export const Counter: typeof PromClient.Counter = require('prom-client/lib/counter');
export type Counter<Label extends string = string> = PromClient.Counter<Label>;

export const Gauge: typeof PromClient.Gauge = require('prom-client/lib/gauge');
export type Gauge<Label extends string = string> = PromClient.Gauge<Label>;

export const Histogram: typeof PromClient.Histogram = require('prom-client/lib/histogram');
export type Histogram<Label extends string = string> = PromClient.Histogram<Label>;

export const Registry: typeof PromClient.Registry = require('prom-client/lib/registry');
export type Registry = PromClient.Registry;
