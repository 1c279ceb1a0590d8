/**
 * @import { Submission } from '../store.ts'
 */

/**
 * An event that touches all that any other does, for a store that is tried out. Its names are ones that no client can send.
 *
 * @returns {Submission}
 */
export function trial() {
  return { values: ['', '', 0, Date.now(), null], key: { name: '', bodyHash: new Uint8Array(32) } };
}
