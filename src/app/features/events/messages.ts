import type { Mistake } from '../../errors/problem.ts';
import type { PageQuery, SummaryQuery } from './store.ts';

/** `json` is one event, `ndjson` one a line. */
export type Format = 'json' | 'ndjson';

/**
 * What the event loop tells the thread. All of one turn goes in one message, as a list. `request` is a number that the
 * event loop gives each request, and that the answer carries.
 */
export type ToThread =
  | {
      readonly kind: 'begin';
      readonly request: number;
      readonly format: Format;
      readonly maxEvents: number;
      /** The Idempotency-Key. */
      readonly key: string | undefined;
      /** Milliseconds since 1970: the time of events that do not tell theirs. */
      readonly arrivedAt: number;
    }
  | { readonly kind: 'bytes'; readonly request: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'end'; readonly request: number }
  | { readonly kind: 'abort'; readonly request: number }
  | { readonly kind: 'page'; readonly request: number; readonly query: PageQuery }
  | { readonly kind: 'summary'; readonly request: number; readonly query: SummaryQuery }
  | { readonly kind: 'close' };

/** Why a request is not answered as it wishes. */
export type RefusalMessage = {
  readonly status: 400 | 413 | 422 | 503;
  readonly code: string;
  readonly detail: string;
  readonly mistakes?: readonly Mistake[];
};

export type Answer =
  | { readonly request: number; readonly accepted: number }
  | { readonly request: number; readonly refusal: RefusalMessage }
  /** A JSON array, and the `after` of the next page where there is one. */
  | { readonly request: number; readonly json: Uint8Array<ArrayBuffer>; readonly next: string | undefined };

export type CommitReport = {
  /** Events that were stored: those that were there already do not count. */
  readonly stored: number;
  readonly ms: number;
  /** How long the first of its requests had waited, complete, when the commit began. */
  readonly waitMs: number;
};

/** What the thread tells the event loop. */
export type FromThread =
  | { readonly kind: 'answers'; readonly answers: readonly Answer[]; readonly commit?: CommitReport }
  /** The store is open, at first or again; or it is not, and why. */
  | { readonly kind: 'up' }
  | { readonly kind: 'down'; readonly reason: string };

export type ThreadData = {
  /** DATABASE_URL. */
  readonly url: string;
  /** Connections for reading, where the store is a server. */
  readonly readersMax: number;
  /** Of all bodies together, modulo 2^32: how much the thread has read. It counts there. */
  readonly readBytes: Uint32Array;
  /** Whether a store that cannot be opened ends the thread, or is tried again. */
  readonly mustOpen: boolean;
};
