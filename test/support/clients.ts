import { Agent, type RequestOptions, request } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

/** How a client uses its connections. */
export const KINDS = ['keep-alive', 'new connection each', 'thinking', 'posting', 'undici pool', 'pipelining'] as const;
export type Kind = (typeof KINDS)[number];

export const LOSSES = ['reset', 'refused', '5xx', 'timed out', 'truncated', 'wrong'] as const;
export type Loss = (typeof LOSSES)[number];

export type ClientOptions = {
  readonly url: string;
  readonly clients: number;
  readonly kind: Kind;
  /** After so long without an answer, a request is lost. */
  readonly timeoutMs?: number;
  /** Each pauses for a random time up to this before it asks: many clients would keep this process too busy to be clients. */
  readonly pauseMs?: number;
  /** Whether a connection is kept no longer than the server says in `Keep-Alive: timeout=`, as Node does by itself. */
  readonly heedsKeepAlive?: boolean;
  /** What greets: `/greet` of the tests' own routes, unless told otherwise. */
  readonly path?: string;
};

type Answer = { readonly status: number; readonly body: string };

/** Asks once; rejects when there is no whole answer. */
type Ask = (method: 'GET' | 'POST', path: string, body?: string) => Promise<Answer>;

/** The `pauseMs` of a client that thinks. */
const THINKING_MS = 2000;

/** A posted body is between nothing and this, so that most take several packets. */
const BODY_MAX_CHARACTERS = 50_000;

const PIPELINED = 4;

/** Where nothing listens any more, thousands of failures a second would tell no more than a few. */
const AFTER_FAILURE_MS = 20;

/**
 * Clients that ask again as soon as they are answered, or after a pause. None of them retries, so that a connection that is closed under a
 * request's feet shows up as a loss; but for requests pipelined behind the one whose answer announced the closing, which the
 * client knows to be unanswered (RFC 9112, 9.3.2).
 */
export class BusyClients {
  answered = 0;
  /** What was lost, in words, and whether the connection had been used before. */
  readonly failures: string[] = [];
  readonly lost: Record<Loss, number> = { reset: 0, refused: 0, '5xx': 0, 'timed out': 0, truncated: 0, wrong: 0 };
  readonly #options: Required<ClientOptions>;
  readonly #pool: Pool | undefined;
  readonly #stop = new AbortController();
  readonly #all: Promise<unknown>;

  constructor(options: ClientOptions) {
    const pauseMs = options.kind === 'thinking' ? THINKING_MS : 0;
    this.#options = { timeoutMs: 10_000, path: '/greet', pauseMs, heedsKeepAlive: true, ...options };
    if (options.kind === 'undici pool' || options.kind === 'pipelining') this.#pool = poolOf(this.#options);
    const parallel = options.kind === 'pipelining' ? options.clients * PIPELINED : options.clients;
    this.#all = Promise.all(Array.from({ length: parallel }, (_, client) => this.#goOn(`client-${client}`)));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#all;
    await this.#pool?.destroy();
  }

  /** Waits until each of `more` further requests is answered or lost. */
  async asked(more: number): Promise<void> {
    const until = this.answered + this.failures.length + more;
    while (this.answered + this.failures.length < until) await sleep(5);
  }

  async #goOn(name: string): Promise<void> {
    const { pauseMs, kind, heedsKeepAlive } = this.#options;
    const agentOptions = { keepAlive: kind !== 'new connection each', maxSockets: 1 };
    const agent = heedsKeepAlive ? new Agent(agentOptions) : new DeafAgent(agentOptions);
    const ask = this.#pool ? askPool(this.#pool) : askNode(agent, this.#options);
    while (!this.#stop.signal.aborted) {
      if (pauseMs > 0) await this.#pause(Math.random() * pauseMs);
      try {
        await (kind === 'posting' ? this.#post(ask) : this.#greet(ask, name));
        this.answered++;
      } catch (error) {
        const { loss, words } = diagnose(error);
        this.lost[loss]++;
        this.failures.push(`${loss}: ${words}`);
        await this.#pause(AFTER_FAILURE_MS);
      }
    }
    agent.destroy();
  }

  async #greet(ask: Ask, name: string): Promise<void> {
    const answer = await ask('GET', `${this.#options.path}/${name}`);
    if (answer.status !== 200 || answer.body !== `Hello ${name}!!!`) throw new UnexpectedAnswer(answer);
  }

  async #post(ask: Ask): Promise<void> {
    const body = JSON.stringify({ text: 'x'.repeat(Math.random() * BODY_MAX_CHARACTERS) });
    const answer = await ask('POST', '/echo', body);
    if (answer.status !== 200 || answer.body !== body) throw new UnexpectedAnswer(answer);
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }
}

/** As many of each kind. */
export class ClientsOfEveryKind {
  readonly byKind: ReadonlyMap<Kind, BusyClients>;

  constructor(options: Omit<ClientOptions, 'kind'>) {
    this.byKind = new Map(
      KINDS.map((kind) => [
        kind,
        new BusyClients({ ...options, kind, ...(kind === 'thinking' && { pauseMs: THINKING_MS }) }),
      ]),
    );
  }

  get answered(): number {
    return this.#all.reduce((sum, { answered }) => sum + answered, 0);
  }

  get failures(): string[] {
    return [...this.byKind].flatMap(([kind, { failures }]) => failures.map((failure) => `${kind}: ${failure}`));
  }

  async asked(more: number): Promise<void> {
    await Promise.all(this.#all.map((clients) => clients.asked(more)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((clients) => clients.stop()));
  }

  get #all(): BusyClients[] {
    return [...this.byKind.values()];
  }
}

/** Keeps connections whatever the server says, like a browser or a proxy. */
class DeafAgent extends Agent {
  override keepSocketAlive(socket: Duplex): boolean {
    (socket as Socket).setKeepAlive(true);
    return true;
  }
}

/** Node's agent does not retry. */
function askNode(agent: Agent, { url, timeoutMs }: Required<ClientOptions>): Ask {
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const options: RequestOptions = { agent, method, headers, timeout: timeoutMs };
      const asking = request(url + path, options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on('error', () => reject(new Error('truncated')));
      });
      asking.on('timeout', () => asking.destroy(new Error('timed out')));
      asking.on('error', (error) => {
        error.message += ` on a ${asking.reusedSocket ? 'kept' : 'new'} connection`;
        reject(error);
      });
      asking.end(body);
    });
}

/** Connections that all clients use in turn; with several requests at a time on each where they are pipelined. */
function poolOf({ url, kind, clients, timeoutMs }: Required<ClientOptions>): Pool {
  return new Pool(url, {
    connections: clients,
    pipelining: kind === 'pipelining' ? PIPELINED : 1,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
}

function askPool(pool: Pool): Ask {
  return async (method, path) => {
    const { statusCode, body } = await pool.request({ method, path });
    return { status: statusCode, body: await body.text() };
  };
}

class UnexpectedAnswer extends Error {
  readonly loss: Loss;

  constructor({ status, body }: Answer) {
    super(`${status} ${body.slice(0, 200)}`);
    this.loss = status >= 500 ? '5xx' : 'wrong';
  }
}

function diagnose(error: unknown): { loss: Loss; words: string } {
  const { message, code = '' } = error as NodeJS.ErrnoException;
  const words = code === '' ? message : `${message} (${code})`;
  if (error instanceof UnexpectedAnswer) return { loss: error.loss, words };
  if (code === 'ECONNREFUSED') return { loss: 'refused', words };
  if (message.startsWith('timed out') || code.endsWith('_TIMEOUT')) return { loss: 'timed out', words };
  if (message.startsWith('truncated') || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH')
    return { loss: 'truncated', words };
  return { loss: 'reset', words };
}
