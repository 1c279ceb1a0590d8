import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { all, type Event, lines, NDJSON, type Totals, totalsOf } from './support.ts';

const CLIENTS = 8;
const PER_REQUEST = 20;

/** Post events with ids, each client until it gets no `201`, and know which were acknowledged. */
export class PostingClients {
  readonly acknowledged: string[] = [];
  /** What ended a client: the status, or what became of the connection. */
  readonly failures: string[] = [];
  readonly #url: string;
  readonly #all: Promise<unknown>;
  #isOver = false;

  /** @param name begins all ids, so that no other clients have the same */
  constructor(url: string, name: string) {
    this.#url = url;
    this.#all = Promise.all(Array.from({ length: CLIENTS }, (_, client) => this.#post(`${name} ${client}`)));
  }

  /** Waits until so many more requests are acknowledged, or all clients have failed. */
  async acknowledgedMore(requests: number): Promise<void> {
    const enough = this.acknowledged.length + requests * PER_REQUEST;
    const isEnough = () => this.acknowledged.length >= enough;
    while (!isEnough() && this.failures.length < CLIENTS) await sleep(5);
  }

  /** Waits until the last has failed. */
  async ended(): Promise<void> {
    await this.#all;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#all;
  }

  async #post(name: string): Promise<void> {
    for (let request = 0; !this.#isOver; request++) {
      const ids = Array.from({ length: PER_REQUEST }, (_, index) => `${name} ${request} ${index}`);
      const body = lines(ids.map((id, index) => ({ id, type: `type ${index % 3}`, value: index })));
      try {
        const response = await fetch(`${this.#url}/events`, { method: 'POST', headers: NDJSON, body });
        const answer = await response.text();
        if (answer !== `{"accepted":${PER_REQUEST}}`) {
          this.failures.push(`${response.status} ${answer}`);
          return;
        }
        this.acknowledged.push(...ids);
      } catch (error) {
        this.failures.push(String(error instanceof Error ? (error.cause ?? error) : error));
        return;
      }
    }
  }
}

/** All that was acknowledged is there, nothing is there twice or in part, and the totals are those of the events. */
export async function expectWhole(url: string, acknowledged: readonly string[]): Promise<void> {
  const events = await all<Event>(url, '/events?limit=1000');
  const ids = new Set(events.map(({ id }) => id));
  expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
  expect(ids.size).toBe(events.length);
  expect(events.length % PER_REQUEST).toBe(0);
  expect(await all<Totals>(url, '/events/summary')).toEqual(totalsOf(events));
}
