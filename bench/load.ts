import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** An answer that takes longer is late: whoever asked has given up. */
const PATIENCE_MS = 2000;

export type Outcome = {
  /** How long each answer 200 took, in milliseconds, from the moment in which it was due to be asked. */
  readonly served: number[];
  /** A second, until the last answer: a queue that is worked off after the load took its time as well. */
  readonly goodput: number;
  readonly refused: number;
  /** No answer, none in time, or another one than 200 and 503. */
  readonly failed: number;
  /** So late, at worst, was asked what was due: longer than a moment, and it is the clients that were measured. */
  readonly lagMs: number;
  /** Of the answers 503. */
  readonly retryAfter: ReadonlySet<string>;
};

/**
 * Asks so many times a second, at random moments, whether the answers come or not: what the world does, as opposed to clients that wait for one
 * answer before they ask again. Connections are kept, and opened where all are in use.
 *
 * @param isKept whether a connection brings more than one request
 */
export async function openLoop(url: string, perSecond: number, forMs: number, isKept = true): Promise<Outcome> {
  const agent = new Agent({ keepAlive: isKept, maxFreeSockets: 10_000 });
  const served: number[] = [];
  const retryAfter = new Set<string>();
  let lastAnswerAt = 0;
  let lagMs = 0;
  let refused = 0;
  let failed = 0;
  const ask = (dueAt: number) =>
    new Promise<void>((resolve) => {
      let isOver = false;
      const over = (count: () => void) => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        count();
        resolve();
      };
      const timer = setTimeout(() => {
        over(() => failed++);
        request.destroy();
      }, PATIENCE_MS);
      const request = get(url, { agent }, (response) => {
        response.resume();
        response.on('end', () =>
          over(() => {
            lastAnswerAt = performance.now();
            if (response.statusCode === 200) served.push(performance.now() - dueAt);
            else if (response.statusCode === 503) {
              refused++;
              retryAfter.add(String(response.headers['retry-after']));
            } else failed++;
          }),
        );
      });
      request.on('error', () => over(() => failed++));
    });

  const asked: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let dueAt = startedAt; dueAt < startedAt + forMs; dueAt += exponential(1000 / perSecond)) {
    const waitMs = dueAt - performance.now();
    if (waitMs >= 1) await sleep(waitMs);
    lagMs = Math.max(lagMs, performance.now() - dueAt);
    asked.push(ask(dueAt));
  }
  await Promise.all(asked);
  agent.destroy();
  const goodput = (served.length * 1000) / Math.max(forMs, lastAnswerAt - startedAt);
  return { served, goodput, refused, failed, lagMs, retryAfter };
}

function exponential(mean: number): number {
  return -Math.log(1 - Math.random()) * mean;
}

/** Answers a second to clients that each wait for one before they ask again. */
export async function closedLoop(url: string, clients: number, forMs: number, isKept = true): Promise<number> {
  const agent = new Agent({ keepAlive: isKept });
  const startedAt = performance.now();
  let answered = 0;
  const client = async () => {
    while (performance.now() < startedAt + forMs) {
      const [response] = (await once(get(url, { agent }), 'response')) as [IncomingMessage];
      response.resume();
      await once(response, 'end');
      if (response.statusCode === 200) answered++;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const rate = (answered * 1000) / (performance.now() - startedAt);
  agent.destroy();
  return rate;
}
