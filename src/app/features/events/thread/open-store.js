/** @import { EventStore } from '../store.ts' */

/**
 * Opens the store that DATABASE_URL names, and brings its schema to the version of this code. Another kind of store gets its
 * line here. Only what it needs is loaded.
 *
 * @param {string} url `file:` and a path, from the working directory or from the root; `file::memory:` is kept nowhere; or
 *   `postgres:` and where the server is
 * @param {object} options
 * @param {boolean} options.mayCreate whether a file that is not there is made
 * @param {number} options.readersMax connections for reading, where there are such
 * @param {() => void} options.doubt is called when it may have failed while nobody was using it
 * @returns {Promise<EventStore>}
 * @throws {import('./store-error.js').StoreError}
 */
export async function openStore(url, { mayCreate, readersMax, doubt }) {
  if (/^postgres(ql)?:/.test(url)) {
    const { openPostgresStore } = await import('./postgres-store.js');
    return openPostgresStore(url, readersMax, doubt);
  }
  const { openSqliteStore } = await import('./sqlite-store.js');
  return openSqliteStore(url.replace(/^file:(\/\/(?=\/))?/, ''), mayCreate);
}
