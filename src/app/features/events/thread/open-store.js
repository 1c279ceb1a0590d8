import { openSqliteStore } from './sqlite-store.js';

/** @import { EventStore } from '../store.ts' */

/**
 * Opens the store that DATABASE_URL names, and brings its schema to the version of this code. Another kind of store gets its
 * line here.
 *
 * @param {string} url `file:` and a path, from the working directory or from the root; `file::memory:` is kept nowhere
 * @returns {Promise<EventStore>}
 * @throws {import('./store-error.js').StoreError}
 */
export function openStore(url) {
  return openSqliteStore(url.replace(/^file:(\/\/(?=\/))?/, ''));
}
