import type { ToThread } from './messages.ts';

/** Smaller pieces are copied: handing over a buffer costs more than that, and of thousands much more. */
const HANDED_OVER_BYTES = 16 * 1024;

type Said = Exclude<ToThread, { kind: 'bytes' }>;
type Body = { readonly kind: 'body'; readonly request: number; readonly pieces: Uint8Array[] };

/**
 * What is said in one turn goes in one message, and what arrived of one body in one piece: most of what a message or a
 * piece costs, it costs however small it is.
 */
export class Outbox {
  readonly #send: (messages: ToThread[], transferred: ArrayBuffer[]) => void;
  #messages: (Said | Body)[] = [];
  /** What arrived in this turn, by the request. */
  #bodies = new Map<number, Body>();
  #bytes = 0;

  constructor(send: (messages: ToThread[], transferred: ArrayBuffer[]) => void) {
    this.#send = send;
  }

  /** Of bodies, so far, modulo 2^32. */
  get bytes(): number {
    return this.#bytes;
  }

  add(message: Said): void {
    this.#push(message);
  }

  /** @param isOwned whether nobody else reads or writes these bytes later */
  addBytes(request: number, bytes: Uint8Array, isOwned: boolean): void {
    this.#bytes = (this.#bytes + bytes.length) >>> 0;
    let body = this.#bodies.get(request);
    if (body === undefined) {
      body = { kind: 'body', request, pieces: [] };
      this.#bodies.set(request, body);
      this.#push(body);
    }
    body.pieces.push(isOwned ? bytes : new Uint8Array(bytes));
  }

  #push(message: Said | Body): void {
    this.#messages.push(message);
    if (this.#messages.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const messages = this.#messages.map((message): ToThread => {
      if (message.kind !== 'body') return message;
      return { kind: 'bytes', request: message.request, bytes: joined(message.pieces) };
    });
    const bodies = messages.flatMap((message) => (message.kind === 'bytes' ? message.bytes.buffer : []));
    this.#messages = [];
    this.#bodies.clear();
    this.#send(
      messages,
      bodies.filter(({ byteLength }) => byteLength >= HANDED_OVER_BYTES),
    );
  }
}

/** With a buffer of its own: all of a buffer goes to the other thread. */
function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [first] = pieces;
  if (pieces.length === 1 && first?.buffer instanceof ArrayBuffer && first.buffer.byteLength === first.length) {
    return new Uint8Array(first.buffer);
  }
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const piece of pieces) {
    all.set(piece, end);
    end += piece.length;
  }
  return all;
}
