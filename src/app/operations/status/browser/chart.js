// One chart with its legend, which is also what those get who do not see it.

import { element, say } from './elements.js';
import { captionWords, numberWords, timeWords } from './words.js';

/** @typedef {import('../messages.ts').Beginning} Beginning */

const CHART_HEIGHT = 150;

/** Fewer are a chart of nothing. */
const LEAST_SECONDS = 30;

/** Lines are told apart by their pattern as well as by their colour. */
const DASHES = [[], [6, 3], [2, 2]];

/** Those of the style sheet as they are by day, or by night. @type {Map<string, string>} */
const colours = new Map();

/** @param {string} name in the style sheet */
function colour(name) {
  const known = colours.get(name);
  if (known !== undefined) return known;
  // Of a variable one is only told how it was written; of a colour, what it is.
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  colours.set(name, found);
  return found;
}

/** What happened, for all charts alike. @type {Pick<Beginning, 'marks' | 'reloads' | 'now'>} */
let happened = { marks: [], reloads: [], now: 0 };

/** @param {Pick<Beginning, 'marks' | 'reloads' | 'now'>} now */
export function nowHappened(now) {
  happened = now;
}

/** Day has become night, or night day. */
export function forgetColours() {
  colours.clear();
}

export class Chart {
  /**
   * @param {Beginning['panels'][number]} panel
   * @param {Element} parent
   * @param {() => [number[], ...(number | null)[][]]} data seconds since 1970, then the numbers of each series
   */
  constructor({ title, unit, series }, parent, data) {
    this.unit = unit;
    this.series = series;
    this.data = data;
    this.values = series.map(() => element('span', { class: 'value' }));
    this.canvas = element('div', { role: 'img', 'aria-label': `Chart: ${title}` });
    const legend = series.map(({ label }, index) =>
      element(
        'li',
        { class: `series-${index}` },
        element('span', {}, label),
        ' ',
        /** @type {Node} */ (this.values[index]),
      ),
    );
    const caption = element('figcaption', {}, captionWords(title, unit));
    parent.append(element('figure', {}, caption, this.canvas, element('ul', {}, ...legend)));
    this.draw();
    this.observer = new ResizeObserver(() => this.plot?.setSize(this.size));
    this.observer.observe(this.canvas);
  }

  /** Else the plots that follow each other's cursor would keep it for ever. */
  destroy() {
    this.observer.disconnect();
    this.plot?.destroy();
  }

  get size() {
    return { width: this.canvas.clientWidth, height: CHART_HEIGHT };
  }

  /** Anew, in the colours of the day or the night. */
  draw() {
    this.plot?.destroy();
    const axis = {
      stroke: colour('quiet'),
      grid: { stroke: colour('line'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui',
    };
    this.plot = new uPlot(
      {
        ...this.size,
        legend: { show: false },
        cursor: { sync: { key: 'status' }, y: false, drag: { x: false, y: false }, points: { size: 5 } },
        scales: {
          x: { range: (_plot, _least, most) => [Math.min(this.data()[0][0] ?? most, most - LEAST_SECONDS), most] },
          y: { range: (_plot, _least, most) => [0, this.unit === 'percent' ? 100 : Math.max(1, 1.1 * most)] },
        },
        axes: [
          { ...axis, size: 26, space: 80, values: (_plot, ticks) => ticks.map((tick) => timeWords(1000 * tick)) },
          { ...axis, size: 48, space: 30, values: (_plot, ticks) => ticks.map((tick) => numberWords(tick, 'number')) },
        ],
        series: [
          {},
          ...this.series.map((_series, index) => ({
            stroke: colour(`series-${index}`),
            width: 1.5,
            dash: DASHES[index] ?? [],
            ...(index === 0 && { fill: colour('fill') }),
            points: { show: false },
          })),
        ],
        hooks: { drawClear: [drawHappened], setCursor: [() => this.tell()] },
      },
      this.data(),
      /** @type {HTMLElement} */ (this.canvas),
    );
    this.tell();
  }

  update() {
    this.plot?.setData(this.data());
    this.tell();
  }

  /** The numbers where the cursor is, or the last ones. */
  tell() {
    const [times, ...columns] = this.data();
    const index = this.plot?.cursor.idx ?? times.length - 1;
    for (const [number, value] of this.values.entries()) {
      say(value, numberWords(columns[number]?.[index], this.unit));
    }
  }
}

/**
 * Reloads as bands, and a line where a process was ready, left or was lost.
 *
 * @param {import('uplot')} plot
 */
function drawHappened(plot) {
  const { ctx, bbox } = plot;
  const at = (/** @type {number} */ ms) => plot.valToPos(ms / 1000, 'x', true);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const { startedAt, ms, result } of happened.reloads) {
    ctx.fillStyle = colour(result === 'failed' ? 'band-failed' : 'band');
    const left = at(startedAt);
    ctx.fillRect(left, bbox.top, Math.max(2, at(startedAt + (ms ?? happened.now - startedAt)) - left), bbox.height);
  }
  for (const { at: time, what } of happened.marks) {
    ctx.strokeStyle = colour(what);
    ctx.setLineDash(what === 'ready' ? [] : [4, 4]);
    ctx.beginPath();
    ctx.moveTo(at(time), bbox.top);
    ctx.lineTo(at(time), bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
