import { Agent, get } from 'node:http';

export type ClientOptions = {
  readonly url: string;
  readonly clients: number;
  /** Keep connections, or open one for each request. */
  readonly keepAlive: boolean;
  /** After so long without an answer, a client hangs. */
  readonly timeoutMs?: number;
  /** What greets: `/greet` of the tests' own routes, unless told otherwise. */
  readonly path?: string;
};

/**
 * Clients that ask without pause, each waiting for its answer before it asks again. Node's agent does not retry, so a
 * connection that is closed under a request's feet shows up as a failure.
 */
export class BusyClients {
  answered = 0;
  /** What was lost: resets, refusals, time-outs, wrong answers, and whether the connection had been used before. */
  readonly failures: string[] = [];
  readonly #agent: Agent;
  readonly #url: string;
  readonly #timeoutMs: number;
  readonly #all: Promise<unknown>;
  #isStopped = false;

  constructor({ url, clients, keepAlive, timeoutMs = 10_000, path = '/greet' }: ClientOptions) {
    this.#agent = new Agent({ keepAlive, maxSockets: clients });
    this.#url = url + path;
    this.#timeoutMs = timeoutMs;
    this.#all = Promise.all(Array.from({ length: clients }, (_, client) => this.#ask(`client-${client}`)));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#all;
    this.#agent.destroy();
  }

  /** Waits until each of `more` further requests is answered or lost. */
  async asked(more: number): Promise<void> {
    const until = this.answered + this.failures.length + more;
    while (this.answered + this.failures.length < until) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async #ask(name: string): Promise<void> {
    while (!this.#isStopped) {
      try {
        const text = await this.#fetch(`${this.#url}/${name}`);
        if (text === `200 Hello ${name}!!!`) this.answered++;
        else this.failures.push(text);
      } catch (error) {
        this.failures.push(String(error));
        // Where nothing listens any more, thousands of failures a second would tell no more than a few.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  #fetch(url: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const request = get(url, { agent: this.#agent, timeout: this.#timeoutMs }, (response) => {
        let text = `${response.statusCode} `;
        response.setEncoding('utf8');
        response.on('data', (part) => {
          text += part;
        });
        response.on('end', () => (response.complete ? resolve(text) : reject(new Error('truncated'))));
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error('hangs')));
      request.on('error', ({ message }) =>
        reject(`${message} on a ${request.reusedSocket ? 'kept' : 'new'} connection`),
      );
    });
  }
}
