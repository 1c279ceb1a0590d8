/** What events may cost, each limit with its reason. Bytes are counted after gunzip. */

/** As many as one request may bring: some ten milliseconds of the thread, and one line of a client's loop. */
export const EVENTS_MAX = 10_000;

/** One request's events are held in memory until they are committed: 10,000 of 1.6 KB, or 1000 of the largest. */
export const BODY_MAX_BYTES = 16 * 1024 * 1024;

/** What one process has taken and not committed yet: a second's work. Parsed it is some 200 MB, and at worst, where all of it is numbers and wide characters, 800. */
export const QUEUE_MAX_BYTES = 32 * 1024 * 1024;

/** Requests of which each waits for its commit: a second's work when each brings one event. */
export const QUEUE_MAX_REQUESTS = 10_000;

/** When the queue is full, bodies make room that have come slowly for so long. */
export const SLOW_AFTER_MS = 1000;

/** 100 KB a second. */
export const SLOW_BYTES_PER_MS = 100;

/** A full queue has room again when a few commits are done. */
export const RETRY_AFTER_SECONDS = 1;

/** Connections to PostgreSQL for reading, of all workers together; each has one more for its commits. */
export const READERS_MAX = 8;

/** Pages and summaries that a process reads at a time: each may have a megabyte, several times over while it is made. */
export const READS_MAX = 32;
