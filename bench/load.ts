import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long clients wait for an answer. */
const PATIENCE_MS = 2000;

export type Outcome = {
  /** How long each answer 200 took, in milliseconds, from the moment in which it was due to be asked, or was, a little earlier. */
  readonly served: number[];
  /** A second, until the last answer: a queue that is worked off after the load took its time as well. */
  readonly goodput: number;
  /** How long each answer 503 took, in the same way. */
  readonly refusedAfter: number[];
  /** No answer, none in time, or another one than 200 and 503. */
  readonly failed: number;
  /** So late, at worst, was asked what was due: longer than a moment, and it is the clients that were measured. */
  readonly lagMs: number;
};

/**
 * Asks so many times a second, at random moments, whether the answers come or not: what the world does, as opposed to clients that wait for one
 * answer before they ask again. Connections are kept, and opened where all are in use.
 *
 * The clients sleep between two requests, unlike those of greet.ts: what that costs is little beside 5 ms, and with clients that never
 * sleep the services did less in four rounds of five.
 *
 * @param isKept whether a connection brings more than one request
 * @param patienceMs after which a client gives up and closes its connection
 */
export async function openLoop(
  url: string,
  perSecond: number,
  forMs: number,
  { isKept = true, patienceMs = PATIENCE_MS } = {},
): Promise<Outcome> {
  const agent = new Agent({ keepAlive: isKept, maxFreeSockets: 10_000 });
  const served: number[] = [];
  const refusedAfter: number[] = [];
  let lastAnswerAt = 0;
  let lagMs = 0;
  let failed = 0;
  const ask = (dueAt: number) =>
    new Promise<void>((resolve) => {
      const askedAt = Math.min(dueAt, performance.now());
      let isOver = false;
      const over = (count: () => void) => {
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        count();
        resolve();
      };
      const giveUp = () => {
        over(() => failed++);
        request.destroy();
      };
      const timer = setTimeout(giveUp, Math.max(0, dueAt + patienceMs - performance.now()));
      const request = get(url, { agent }, (response) => {
        response.resume();
        response.on('end', () =>
          over(() => {
            lastAnswerAt = performance.now();
            const tookMs = lastAnswerAt - askedAt;
            if (tookMs > patienceMs) failed++;
            else if (response.statusCode === 200) served.push(tookMs);
            else if (response.statusCode === 503) refusedAfter.push(tookMs);
            else failed++;
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
  return { served, goodput, refusedAfter, failed, lagMs };
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
