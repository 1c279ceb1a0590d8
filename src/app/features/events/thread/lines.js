import { isUtf8 } from 'node:buffer';
import { LINE_MAX_BYTES } from './limits.js';

const NEWLINE = 10;

/**
 * Lines that are complete, without their ends; and what is wrong with the one after them, if something is.
 * @typedef {{ lines: string[], wrong?: string }} Split
 */

const NOT_UTF8 = 'is not UTF-8';
const TOO_LONG = `is longer than ${LINE_MAX_BYTES} bytes`;

/** Makes lines of text of a stream of bytes. It keeps no more than one incomplete line. */
export class Lines {
  /** Has the last line so far at its begin. Copied, for a piece may be small and its buffer large. */
  #rest = Buffer.alloc(0);
  #restBytes = 0;
  #isSplit;

  /** @param {boolean} isSplit whether a line end is one; otherwise all is one line */
  constructor(isSplit) {
    this.#isSplit = isSplit;
  }

  /**
   * @param {Uint8Array} bytes the next ones
   * @returns {Split}
   */
  push(bytes) {
    const end = this.#isSplit ? bytes.lastIndexOf(NEWLINE) : -1;
    const split = end === -1 ? { lines: [] } : toLines(this.#join(bytes.subarray(0, end)), true);
    if (end + 1 < bytes.length) this.#keep(bytes.subarray(end + 1));
    return this.#restBytes > LINE_MAX_BYTES && split.wrong === undefined ? { ...split, wrong: TOO_LONG } : split;
  }

  /** @returns {Split} the last line, which has no end */
  end() {
    return toLines(this.#join(new Uint8Array()), false);
  }

  /** @param {Uint8Array} bytes */
  #keep(bytes) {
    const length = this.#restBytes + bytes.length;
    if (length > this.#rest.length) {
      const longer = Buffer.allocUnsafe(2 * length);
      this.#rest.copy(longer, 0, 0, this.#restBytes);
      this.#rest = longer;
    }
    this.#rest.set(bytes, this.#restBytes);
    this.#restBytes = length;
  }

  /**
   * @param {Uint8Array} bytes
   * @returns {Buffer}
   */
  #join(bytes) {
    const { buffer, byteOffset, byteLength } = bytes;
    if (this.#restBytes === 0) return Buffer.from(buffer, byteOffset, byteLength);
    const joined = Buffer.concat([this.#rest.subarray(0, this.#restBytes), bytes]);
    this.#rest = Buffer.alloc(0);
    this.#restBytes = 0;
    return joined;
  }
}

/**
 * @param {Buffer} bytes
 * @param {boolean} isSplit
 * @returns {Split}
 */
function toLines(bytes, isSplit) {
  // All at once: a call for each line costs more than the rest of the splitting.
  const text = bytes.toString();
  const lines = isSplit ? text.split('\n') : [text];
  // What does not decode becomes U+FFFD. (A line before that was sent with one would get the blame.)
  const isWrong = isUtf8(bytes) ? isTooLong : isNotUtf8;
  const at = lines.findIndex(isWrong);
  return at === -1 ? { lines } : { lines: lines.slice(0, at), wrong: isWrong === isTooLong ? TOO_LONG : NOT_UTF8 };
}

/** @param {string} line */
function isTooLong(line) {
  return line.length > LINE_MAX_BYTES;
}

/** @param {string} line */
function isNotUtf8(line) {
  return line.includes('\uFFFD');
}
