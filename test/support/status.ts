import { onTestFinished } from 'vitest';
import type { Beginning, Situation } from '../../src/app/operations/status/messages.ts';

/** Looks at `/status` as its page does, until its test ends. */
export class Viewer {
  readonly beginning: Beginning;
  /** The last that was told. */
  situation: Situation;
  /** By the time of each second, all series. */
  readonly points = new Map<number, readonly (number | null)[]>();
  /** Whether the service has ended the stream. */
  hasEnded = false;
  readonly #texts: AsyncIterator<string>;
  #rest = '';

  static async at(url: string): Promise<Viewer> {
    const abort = new AbortController();
    onTestFinished(() => abort.abort());
    for (;;) {
      const response = await fetch(`${url}/status/stream`, { signal: abort.signal });
      if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`);
      const texts = response.body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
      const [first, rest] = await nextEvent(texts, '');
      // Asked on a connection that was kept to a process that drains: like a browser, it comes back, on a new one.
      if (first === undefined) continue;
      if (!first.startsWith('event: beginning')) throw new Error(`the stream began with ${first}`);
      return new Viewer(texts, rest, JSON.parse(dataOf(first)));
    }
  }

  private constructor(texts: AsyncIterator<string>, rest: string, beginning: Beginning) {
    this.#texts = texts;
    this.#rest = rest;
    this.beginning = beginning;
    this.situation = beginning;
    this.#keep(beginning);
  }

  /** Waits until what it has been told is so, or the stream has ended. */
  async until(isSo: (viewer: this) => boolean): Promise<void> {
    while (!isSo(this) && !this.hasEnded) await this.#next();
  }

  /** What is told of a series, second by second. */
  series(title: string, label: string): { time: number; value: number | null }[] {
    const all = this.beginning.panels.flatMap((panel) =>
      panel.series.map((series) => `${panel.title}/${series.label}`),
    );
    const index = all.indexOf(`${title}/${label}`);
    if (index < 0) throw new Error(`there is no ${title}/${label} among ${all}`);
    return [...this.points].map(([time, values]) => ({ time, value: values[index] ?? null }));
  }

  /** Of one that is counted: how much it was in all seconds together. */
  sum(title: string, label: string): number {
    return this.series(title, label).reduce((sum, { value }) => sum + (value ?? 0), 0);
  }

  async #next(): Promise<void> {
    const [event, rest] = await nextEvent(this.#texts, this.#rest);
    this.#rest = rest;
    if (event === undefined) this.hasEnded = true;
    else this.#keep(JSON.parse(dataOf(event)));
  }

  #keep(situation: Situation): void {
    this.situation = situation;
    for (const { time, values } of situation.points) this.points.set(time, values);
  }
}

/** @returns undefined when the stream has ended */
async function nextEvent(
  texts: AsyncIterator<string>,
  begun: string,
): Promise<[event: string | undefined, rest: string]> {
  let text = begun;
  for (;;) {
    const end = text.indexOf('\n\n');
    const event = text.slice(0, Math.max(0, end));
    if (event.startsWith('event: ')) return [event, text.slice(end + 2)];
    if (end >= 0) text = text.slice(end + 2);
    else {
      const { done, value } = await texts.next();
      if (done) return [undefined, ''];
      text += value;
    }
  }
}

function dataOf(event: string): string {
  return event.slice(event.indexOf('\ndata: ') + '\ndata: '.length);
}
