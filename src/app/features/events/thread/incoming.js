import { createHash } from 'node:crypto';
import { LINE_MAX_BYTES } from './limits.js';
import { Lines } from './lines.js';
import { readEvent } from './read-event.js';

/**
 * @import { RefusalMessage, ToThread } from '../messages.ts'
 * @import { EventValues, Submission } from '../store.ts'
 * @import { Split } from './lines.js'
 * @import { Wrong } from './read-event.js'
 */

/** A request whose events are read as they arrive. What is wrong is found at once, not when all of it is there. */
export class Incoming {
  #begin;
  #lines;
  #lineNumber = 0;
  #bytes = 0;
  #events = 0;
  #hash;
  /** @type {EventValues} */
  #values = [];

  /** @param {Extract<ToThread, { kind: 'begin' }>} begin */
  constructor(begin) {
    this.#begin = begin;
    this.#lines = new Lines(begin.format === 'ndjson');
    this.#hash = begin.key === undefined ? undefined : createHash('sha256');
  }

  get events() {
    return this.#events;
  }

  /**
   * @param {Uint8Array} bytes the next ones of the body
   * @returns {RefusalMessage | undefined} why all of it is refused
   */
  push(bytes) {
    this.#hash?.update(bytes);
    this.#bytes += bytes.length;
    if (this.#begin.format === 'json' && this.#bytes > LINE_MAX_BYTES) {
      return { status: 413, code: 'BODY_TOO_LARGE', detail: `One event has at most ${LINE_MAX_BYTES} bytes.` };
    }
    return this.#readLines(this.#lines.push(bytes));
  }

  /** @returns {{ submission: Submission } | { refusal: RefusalMessage }} */
  end() {
    const refusal = this.#readLines(this.#lines.end());
    if (refusal) return { refusal };
    if (this.#events === 0) return { refusal: { status: 400, code: 'BODY_MALFORMED', detail: 'The body is empty.' } };
    const { key } = this.#begin;
    const bodyHash = this.#hash?.digest();
    return {
      submission: {
        values: this.#values,
        key: key === undefined || bodyHash === undefined ? undefined : { name: key, bodyHash },
      },
    };
  }

  /**
   * @param {Split} split
   * @returns {RefusalMessage | undefined}
   */
  #readLines({ lines, wrong }) {
    for (const line of lines) {
      const refusal = this.#readLine(line);
      if (refusal) return refusal;
    }
    this.#lineNumber++;
    if (wrong !== undefined) return this.#invalid([{ pointer: '', detail: wrong }]);
    this.#lineNumber--;
    return undefined;
  }

  /**
   * @param {string} line
   * @returns {RefusalMessage | undefined}
   */
  #readLine(line) {
    this.#lineNumber++;
    // After the last line end there is nothing, and some put an empty line between events.
    if (line === '' || line === '\r') return undefined;
    if (++this.#events > this.#begin.maxEvents) {
      return {
        status: 413,
        code: 'EVENTS_TOO_MANY',
        detail: `A request brings at most ${this.#begin.maxEvents} events.`,
      };
    }
    let event;
    try {
      event = JSON.parse(line);
    } catch {
      return this.#invalid([{ pointer: '', detail: 'is not valid JSON' }]);
    }
    const wrong = readEvent(event, this.#begin.arrivedAt, this.#values);
    return wrong.length === 0 ? undefined : this.#invalid(wrong);
  }

  /**
   * @param {Wrong[]} wrong
   * @returns {RefusalMessage}
   */
  #invalid(wrong) {
    const where = this.#begin.format === 'ndjson' ? { line: this.#lineNumber } : {};
    const mistakes = wrong.map(({ pointer, detail }) => ({
      in: /** @type {const} */ ('body'),
      pointer,
      ...where,
      detail,
    }));
    return { status: 400, code: 'VALIDATION_FAILED', detail: '', mistakes };
  }
}
