// Shows what the stream tells, as long as the page is open.

import { Chart, forgetColours, nowHappened } from './chart.js';
import { eachChild, element, say } from './elements.js';
import { durationWords, numberWords, timeWords } from './words.js';

/** @typedef {import('../messages.ts').Beginning} Beginning */
/** @typedef {import('../messages.ts').Situation} Situation */

const RECONNECT_MS = 2000;

/** So many of what happened are told in words. */
const EVENTS_MAX = 20;

/** What is known of each worker beside the headlines, which come first: they are what one looks for. */
const AGE = 'Age';
const RESTARTS = 'Predecessors lost';

/** A process that has told nothing for so long is busy, or hangs. */
const SILENT_SECONDS = 3;

const DID = { ready: 'is ready', left: 'has left', lost: 'was lost' };

/** @type {Beginning['panels']} */
let panels = [];
/** Seconds since 1970. @type {number[]} */
let times = [];
/** What each series of all panels was then. @type {(number | null)[][]} */
let columns = [];
let secondsKept = 0;
/** @type {Chart[]} */
let charts = [];

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

function headlines() {
  return panels
    .flatMap(({ unit, series }) => series.map(({ headline }) => ({ unit, headline })))
    .map(({ unit, headline }, index) => ({ unit, headline, values: columns[index] ?? [] }))
    .filter(({ headline }) => headline !== null);
}

/** @param {Beginning} beginning */
function begin(beginning) {
  panels = beginning.panels;
  secondsKept = beginning.secondsKept;
  times = [];
  columns = panels.flatMap(({ series }) => series.map(() => []));
  keep(beginning);
  for (const chart of charts) chart.destroy();
  byId('charts').replaceChildren();
  let start = 0;
  charts = panels.map((panel) => {
    const from = start;
    start += panel.series.length;
    const until = start;
    return new Chart(panel, byId('charts'), () => [times, ...columns.slice(from, until)]);
  });
  show(beginning);
}

/** @param {Situation} situation */
function keep({ points, now }) {
  for (const { time, values } of points) {
    times.push(time);
    for (const [index, value] of values.entries()) columns[index]?.push(value);
  }
  const old = times.filter((time) => time <= now / 1000 - secondsKept).length;
  for (const numbers of [times, ...columns]) numbers.splice(0, old);
}

/** @param {Situation} situation */
function show(situation) {
  nowHappened(situation);
  if (document.hidden) return;
  showState(situation);
  eachChild(
    byId('headlines'),
    headlines(),
    ({ headline }) => element('div', {}, element('dt', {}, headline ?? ''), element('dd', {})),
    (child, { unit, values }) => say(child.lastElementChild, numberWords(values.at(-1), unit)),
  );
  showWorkers(situation);
  showEvents(situation);
  for (const chart of charts) chart.update();
}

/** @param {Situation} situation */
function showState({ workers, reloads }) {
  const ready = workers.filter(({ state }) => state === 'ready').length;
  const words = [
    workers.length === 1 ? '1 process' : `${workers.length} processes`,
    ready === workers.length ? 'ready' : `${ready} of them ready`,
    ...(reloads.at(-1)?.result === null ? ['a reload is under way'] : []),
  ].join(', ');
  tellState(words, ready > 0 ? 'ready' : 'draining');
}

/**
 * @param {string} words
 * @param {string} state
 */
function tellState(words, state) {
  const where = byId('state');
  where.className = `state ${state}`;
  say(where, words);
}

/** @param {Situation} situation */
function showWorkers({ workers, now }) {
  const told = headlines();
  const names = ['Worker', 'State', ...told.map(({ headline }) => headline ?? ''), AGE, RESTARTS];
  // Nobody counts them without a supervisor.
  const isHidden = (/** @type {string | undefined} */ name) =>
    name === RESTARTS && workers.every(({ restarts }) => restarts === null);
  eachChild(
    byId('worker-columns'),
    names,
    () => element('th', { scope: 'col' }),
    (column, name) => {
      say(column, name);
      column.toggleAttribute('hidden', isHidden(name));
    },
  );
  eachChild(
    byId('workers'),
    workers,
    makeRow,
    (row, { worker, pid, state, startedAt, restarts, silentSeconds, values }) => {
      const isSilent = silentSeconds >= SILENT_SECONDS;
      const [name, shown, ...cells] = row.children;
      say(name?.firstElementChild, worker);
      say(name?.lastElementChild, `pid ${pid}`);
      say(shown?.firstElementChild, isSilent ? `silent for ${silentSeconds} s` : state);
      if (shown?.firstElementChild) shown.firstElementChild.className = `state ${isSilent ? 'silent' : state}`;
      const words = [
        ...values.map((value, index) => numberWords(value, told[index]?.unit ?? 'number')),
        startedAt === null ? '–' : durationWords(now - startedAt),
        numberWords(restarts, 'number'),
      ];
      for (const [index, cell] of cells.entries()) {
        say(cell, words[index] ?? '');
        // On a phone each row is a card, and its cells say themselves what they are.
        cell.setAttribute('data-name', names[index + 2] ?? '');
        cell.toggleAttribute('hidden', isHidden(names[index + 2]));
      }
    },
  );
}

function makeRow() {
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, element('span', {}), ' ', element('small', {})),
    element('td', {}, element('span', {})),
    ...[...headlines(), AGE, RESTARTS].map(() => element('td', {})),
  );
}

/** The latest first. @param {Situation} situation */
function showEvents({ marks, reloads, scalings }) {
  const events = [
    ...marks.map(({ at, worker, what }) => ({ at, what: String(what), words: `Worker ${worker} ${DID[what]}` })),
    ...scalings.map(({ at, workers }) => ({
      at,
      what: 'planned',
      words: `Scaled to ${workers} ${workers === 1 ? 'worker' : 'workers'}`,
    })),
    ...reloads.map(({ startedAt }) => ({ at: startedAt, what: 'planned', words: 'Reload started' })),
    ...reloads.flatMap(({ startedAt, ms, result, reason }) =>
      ms === null ? [] : [{ at: startedAt + ms, ...ended(ms, result, reason) }],
    ),
  ];
  const latest = events.sort((one, other) => other.at - one.at).slice(0, EVENTS_MAX);
  const make = () => element('li', {}, element('time', {}), ' ', element('span', {}));
  eachChild(byId('events'), latest, make, (child, { at, what, words }) => {
    const { firstElementChild: time, lastElementChild: event } = child;
    time?.setAttribute('datetime', new Date(at).toISOString());
    say(time, timeWords(at));
    say(event, words);
    if (event) event.className = what;
  });
}

/**
 * @param {number} ms
 * @param {'ok' | 'failed' | null} result
 * @param {string} [reason]
 */
function ended(ms, result, reason) {
  const after = `after ${durationWords(ms)}`;
  return result === 'ok'
    ? { what: 'planned', words: `Reload done ${after}` }
    : { what: 'lost', words: `Reload failed ${after}: ${reason ?? 'the log says why'}` };
}

function connect() {
  const stream = new EventSource('status/stream');
  stream.addEventListener('beginning', ({ data }) => begin(JSON.parse(data)));
  stream.addEventListener('second', ({ data }) => {
    const situation = JSON.parse(data);
    keep(situation);
    show(situation);
  });
  stream.addEventListener('error', () => {
    tellState('Connection lost, trying again', 'draining');
    // What the browser does by itself, but where it was answered with an error.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
  });
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  forgetColours();
  for (const chart of charts) chart.draw();
});
connect();
