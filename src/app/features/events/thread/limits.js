/** One event as it is sent: 16 KB of data, of which JSON's escapes may make six times as much, and the rest. */
export const LINE_MAX_BYTES = 128 * 1024;

/** Of `data` as JSON text without spaces. */
export const DATA_MAX_BYTES = 16 * 1024;

/** Of `id` and `type`, in characters as people count them, not in UTF-16 units. */
export const NAME_MAX_CHARACTERS = 100;

/** However many are summed up, the sum is a number that a double holds. */
export const VALUE_MAX = 1e200;

/** A commit takes no more requests when it has so many events, so that the next ones do not wait for all that wait. */
export const COMMIT_MAX_EVENTS = 10_000;

/** A page ends when its events have so many bytes of data, though it may be shorter than was asked for. */
export const PAGE_MAX_BYTES = 1024 * 1024;

/** So long a commit waits for other processes to finish theirs. Each holds the file for some milliseconds. */
export const LOCKED_MAX_MS = 5000;

/** A store that failed is opened anew after so long, after twice as long when that failed, and so on ... */
export const REOPEN_FIRST_MS = 250;

/** ... up to this. Half of it is random: many processes that lost it together do not come back together. */
export const REOPEN_MOST_MS = 5000;

/** How often a store is asked whether it is still there, so that readiness follows it also when nobody sends events. */
export const CHECK_INTERVAL_MS = 5000;

/** An Idempotency-Key is remembered for a day, as long as clients that were cut off go on trying ... */
export const KEY_KEPT_MS = 24 * 3600 * 1000;

/** ... and the newest million of them: some 100 MB. */
export const KEYS_MAX = 1_000_000;
