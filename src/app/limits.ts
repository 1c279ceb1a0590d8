/**
 * What one client may cost, each limit with its reason. They bound memory and time for every fork alike, so they are
 * constants; what depends on the machine or the proxy in front is a setting.
 */

/** Request line and headers together: Node's own default, and more than nginx (4 × 8 KB a line) passes on in practice. */
export const HEADERS_MAX_BYTES = 16 * 1024;

/**
 * One parameter in a path, as it is sent: percent-encoded. A hundred characters in any script; a Hangul syllable takes the
 * most, three jamo of nine bytes each.
 */
export const PARAMETER_MAX_BYTES = 100 * 27;

/** A request body that a route does not say otherwise of. It is held in memory: 1000 at a time are a gigabyte. */
export const BODY_MAX_BYTES = 1024 * 1024;

/** Headers complete by then, or 408: a client that sends a byte a second holds its connection no longer than this. */
export const HEADERS_TIMEOUT_MS = 10_000;

/** Headers and body complete by then, or 408: 1 MiB at 35 KB/s. */
export const REQUEST_TIMEOUT_MS = 30_000;

/** How often Node looks for connections past the two limits above. Its default of 30 s would stretch them threefold. */
export const TIMEOUT_CHECK_INTERVAL_MS = 1000;
