// How numbers and times read.

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hourCycle: 'h23' });

/** @type {Record<import('../../../vitals.ts').Unit, string>} */
const AFTER_NUMBER = { 'a second': '/s', ms: ' ms', MiB: ' MiB', percent: ' %', number: '' };

/**
 * @param {number | null | undefined} value
 * @param {import('../../../vitals.ts').Unit} unit
 */
export function numberWords(value, unit) {
  return value === null || value === undefined ? '–' : compact.format(value) + AFTER_NUMBER[unit];
}

/**
 * What a chart shows, as its axis has room for bare numbers only.
 *
 * @param {string} title
 * @param {import('../../../vitals.ts').Unit} unit
 */
export function captionWords(title, unit) {
  return unit === 'number' ? title : `${title} (${AFTER_NUMBER[unit].trim()})`;
}

/** @param {number} ms since 1970 */
export function timeWords(ms) {
  return clock.format(ms);
}

/** @param {number} ms */
export function durationWords(ms) {
  const seconds = Math.round(ms / 1000);
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}
