import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import protobuf from 'protobufjs';
import { onTestFinished } from 'vitest';

const PROTO = readFileSync(new URL('otlp-trace.proto', import.meta.url), 'utf8');
const Message = protobuf.parse(PROTO).root.lookupType('ExportTraceServiceRequest');

/** Numbers of the protocol. */
export const KIND_SERVER = 2;
export const STATUS_UNSET = 0;
export const STATUS_ERROR = 2;

type Attributes = Readonly<Record<string, unknown>>;

export type ReceivedSpan = {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first one of its trace. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly status: number;
  readonly ms: number;
  readonly attributes: Attributes;
  /** Of the process that made it. */
  readonly resource: Attributes;
};

export type Answer = (response: ServerResponse) => void;

const takesIt: Answer = (response) => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();

/** A receiver of OTLP over HTTP that decodes what arrives. It is closed when its test ends. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** Of each request that arrived. */
  readonly requests: IncomingMessage[] = [];
  /** How requests are answered from now on. */
  answer: Answer;
  readonly #server: Server;
  #waiting = new Set<() => void>();

  static async start(answer: Answer = takesIt): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver(answer);
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    onTestFinished(() => receiver.close());
    return receiver;
  }

  private constructor(answer: Answer) {
    this.answer = answer;
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Those of these names, in the order in which they arrived. */
  named(...names: string[]): ReceivedSpan[] {
    return this.spans.filter(({ name }) => names.includes(name));
  }

  /** Waits until `find` finds something among what has arrived. */
  async until<Found>(find: (receiver: this) => Found | undefined | false): Promise<Found> {
    for (;;) {
      const found = find(this);
      if (found !== undefined && found !== false) return found;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Nobody answers on its port from now on. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    this.requests.push(request);
    const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
    this.spans.push(...spansOf(bytes));
    this.answer(response);
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

type KeyValue = { key: string; value?: Record<string, unknown> };
type Span = {
  name: string;
  kind: number;
  traceId: Uint8Array;
  spanId: Uint8Array;
  parentSpanId: Uint8Array;
  traceState: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: KeyValue[];
  status?: { code: number };
};
type Exported = {
  resourceSpans: { resource: { attributes: KeyValue[] }; scopeSpans: { spans: Span[] }[] }[];
};

function spansOf(bytes: Uint8Array): ReceivedSpan[] {
  const exported = Message.toObject(Message.decode(bytes), { longs: String, defaults: true, oneofs: true }) as Exported;
  return exported.resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        name: span.name,
        kind: span.kind,
        traceId: Buffer.from(span.traceId).toString('hex'),
        spanId: Buffer.from(span.spanId).toString('hex'),
        parentSpanId: Buffer.from(span.parentSpanId).toString('hex'),
        traceState: span.traceState,
        status: span.status?.code ?? STATUS_UNSET,
        ms: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
        attributes: attributesOf(span.attributes),
        resource: attributesOf(resource.attributes),
      })),
    ),
  );
}

function attributesOf(pairs: readonly KeyValue[]): Attributes {
  return Object.fromEntries(
    pairs.map(({ key, value = {} }) => {
      const kind = String(value.value);
      return [key, kind === 'intValue' ? Number(value[kind]) : value[kind]];
    }),
  );
}
