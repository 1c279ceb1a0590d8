/**
 * The events of one request, five values for each, one after the other: `id` or null, `type`, `value` or null, `at` in
 * milliseconds since 1970, `data` as JSON text or null. A flat list, for an object for each of 10,000 events costs more.
 */
export type EventValues = (string | number | null)[];

/** The events of one request, all of them valid. */
export type Submission = {
  readonly values: EventValues;
  /** The Idempotency-Key with what tells whether the same was sent before: SHA-256 of the body. */
  readonly key: { readonly name: string; readonly bodyHash: Uint8Array } | undefined;
};

/**
 * What became of a submission: how many of its events were new, or that it was here before under its key and stored
 * nothing, or that its key has been used for something else.
 */
export type Outcome = { readonly stored: number } | 'repeated' | 'key-reused';

export type PageQuery = {
  /** The key of the last event that the client has; 0 at first. */
  readonly after: number;
  readonly type: string | undefined;
  readonly limit: number;
};

export type StoredEvent = {
  readonly seq: number;
  readonly id: string | null;
  readonly type: string;
  readonly value: number | null;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** JSON text. */
  readonly data: string | null;
};

export type SummaryQuery = {
  readonly by: 'type' | 'minute';
  readonly type: string | undefined;
  /** Where the page before ended: `next` of its last row's page. */
  readonly after: string | undefined;
  readonly limit: number;
};

/** What is known of the events of one type, or of those of it whose `at` is in one minute. */
export type Totals = {
  readonly type: string;
  /** The minute's begin, milliseconds since 1970. */
  readonly minute?: number;
  readonly count: number;
  /** 0 where no event had a value. */
  readonly sum: number;
  /** Null where no event had a value. */
  readonly min: number | null;
  readonly max: number | null;
  /** The earliest and latest `at`, milliseconds since 1970. */
  readonly first: number;
  readonly last: number;
};

/**
 * Where events are kept. One thread of each process has one, and several processes have theirs open on the same database.
 * Every method may throw a StoreError (thread/store-error.js).
 */
export type EventStore = {
  /**
   * Stores all of these or, when it throws, none (but a commit that failed at its very end may turn out to have happened).
   * When it returns, they survive a power cut. Keys grow in the order in which commits become visible, so that whoever pages
   * by key misses nothing. The totals change in the same commit.
   *
   * @returns what became of each, in their order
   */
  commit(batch: readonly Submission[]): Promise<Outcome[]>;
  /** Up to `limit` events after a key, in the order of their keys; fewer where their data is large. */
  page(query: PageQuery): Promise<{ events: StoredEvent[]; hasMore: boolean }>;
  /** By type, or by minute and then type. */
  summary(query: SummaryQuery): Promise<{ totals: Totals[]; next: string | undefined }>;
  /** Finds out whether it is still there; costs little, and changes nothing. */
  ping(): Promise<void>;
  /** Writes as much as one event needs, and keeps nothing of it. Throws where an event could not be stored: the disk is full, say. */
  tryWriting(): Promise<void>;
  close(): Promise<void>;
};
