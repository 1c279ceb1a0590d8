import { DATA_MAX_BYTES, NAME_MAX_CHARACTERS, VALUE_MAX } from './limits.js';

/**
 * @import { EventValues } from '../store.ts'
 * @typedef {{ pointer: string, detail: string }} Wrong
 */

const KNOWN = new Set(['id', 'type', 'value', 'at', 'data']);

/** RFC 3339, 5.6, which allows small letters, and a space for the T. */
const DATE_TIME =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

const FIRST_MS = Date.parse('0000-01-01T00:00:00Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Checks one event, written by hand because this is where most of the time goes, and appends its values.
 *
 * @param {unknown} event as JSON.parse made it
 * @param {number} arrivedAt milliseconds since 1970, for an event without `at`
 * @param {EventValues} values to which its five are appended when nothing is wrong
 * @returns {Wrong[]} all that is wrong with it
 */
export function readEvent(event, arrivedAt, values) {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    return [{ pointer: '', detail: 'must be an object' }];
  }
  /** @type {Wrong[]} */
  const wrong = [];
  for (const name in event) if (!KNOWN.has(name)) wrong.push(unknown(name));
  const { id, type, value, at, data } = /** @type {Record<string, unknown>} */ (event);
  if (type === undefined) wrong.push({ pointer: '/type', detail: 'is required' });
  else if (!isName(type)) wrong.push({ pointer: '/type', detail: NAME });
  if (id !== undefined && !isName(id)) wrong.push({ pointer: '/id', detail: NAME });
  if (value !== undefined && !(typeof value === 'number' && Math.abs(value) <= VALUE_MAX)) {
    wrong.push({ pointer: '/value', detail: `must be a number from -${VALUE_MAX} to ${VALUE_MAX}` });
  }
  const time = at === undefined ? arrivedAt : timeOf(at);
  if (time === undefined) wrong.push({ pointer: '/at', detail: 'must be an RFC 3339 date-time' });
  const text = data === undefined ? null : textOf(data);
  if (text === undefined) {
    wrong.push({ pointer: '/data', detail: `must be at most ${DATA_MAX_BYTES} bytes of JSON, not nested too deeply` });
  }
  if (wrong.length > 0) return wrong;
  values.push(
    /** @type {string | undefined} */ (id) ?? null,
    /** @type {string} */ (type),
    /** @type {number | undefined} */ (value) ?? null,
    time ?? arrivedAt,
    text ?? null,
  );
  return wrong;
}

const NAME = `must be text of 1 to ${NAME_MAX_CHARACTERS} characters, none of them U+0000 or half a surrogate pair`;

/**
 * What every store can keep as it is: PostgreSQL's text has no U+0000, and UTF-8 no lone surrogates, so that two different ids
 * would become one.
 *
 * @param {unknown} text
 */
function isName(text) {
  if (typeof text !== 'string' || text.length === 0 || text.length > 2 * NAME_MAX_CHARACTERS) return false;
  if (text.length > NAME_MAX_CHARACTERS && [...text].length > NAME_MAX_CHARACTERS) return false;
  return text.isWellFormed() && !text.includes('\0');
}

/**
 * @param {unknown} at
 * @returns {number | undefined} milliseconds since 1970, or undefined where it is no date-time
 */
function timeOf(at) {
  const match = typeof at === 'string' ? DATE_TIME.exec(at) : null;
  if (match === null) return undefined;
  const [, year, month, day, hours, minutes, seconds, fraction = '', offset = 'Z'] = match;
  // Date would take the 30th of February for the 1st or 2nd of March. Of a leap second it makes nothing at all: here it is
  // the second after, as in POSIX time.
  if (Number(day) === 0 || Number(day) > daysIn(Number(year), Number(month))) return undefined;
  const minute = Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:00${offset.toUpperCase()}`);
  const ms = minute + Number(seconds) * 1000 + Number(fraction.slice(1, 4).padEnd(3, '0'));
  // An offset may lead out of the years that RFC 3339 has.
  return ms >= FIRST_MS && ms <= LAST_MS ? ms : undefined;
}

/**
 * @param {number} year
 * @param {number} month 1 to 12; there are no days in any other
 */
function daysIn(year, month) {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  if (month < 1 || month > 12) return 0;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/**
 * @param {unknown} data
 * @returns {string | undefined} JSON without spaces, or undefined where it is too much
 */
function textOf(data) {
  try {
    const text = JSON.stringify(data);
    return text.length <= DATA_MAX_BYTES && Buffer.byteLength(text) <= DATA_MAX_BYTES ? text : undefined;
  } catch {
    // Nested so deeply that stringify runs out of stack; parse does not.
    return undefined;
  }
}

/** @param {string} name */
function unknown(name) {
  // What the client sent is not repeated at any length.
  const token = name.slice(0, NAME_MAX_CHARACTERS).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1');
  return { pointer: `/${token}`, detail: `is not known here: an event has ${[...KNOWN].join(', ')}` };
}
