import { getHeapStatistics } from 'node:v8';
import underPressure from '@fastify/under-pressure';
import type { HookHandlerDoneFunction, onRequestHookHandler, preHandlerHookHandler } from 'fastify';
import type { Config } from '../../config/settings.ts';
import { Busy } from '../errors/busy.ts';
import { BODILESS } from '../http/bodiless.ts';
import type { OpenRequest, Requests } from '../http/requests.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { App } from '../types.ts';
import { ConcurrencyLimit } from './concurrency-limit.ts';
import { Turns } from './turns.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What operators and proxies ask: always answered. */
    isOperation?: boolean;
    /** It has a bounded queue of its own, or answers that last: as many may be open as want to. */
    boundsItself?: boolean;
  }
}

/** Above this part of its heap's limit a process does little but collect garbage, and is about to die. */
const HEAP_MAX = 0.9;

/** A worker that is too large is being replaced. So far above its limit, it does not wait for that. */
const RSS_MAX = 1.25;

const MEMORY_SAMPLED_EVERY_MS = 1000;

/** Where no answer waited only for its client, so soon there is none either. */
const RELEASE_AGAIN_AFTER_MS = 10;

const REPORTED_EVERY_MS = 1000;
const RETRY_AFTER_SECONDS = 1;

const REFUSALS = {
  turn: overloaded('The service is overloaded.'),
  concurrency: overloaded('Too many requests of this kind are in progress.'),
  memory: overloaded('The service is short of memory.'),
};

/** Made once: of thousands a second, nobody reads the stacks. */
function overloaded(why: string): Busy {
  return new Busy('OVERLOADED', `${why} Try again later.`, RETRY_AFTER_SECONDS);
}

/**
 * Refuses at once, with a 503, what could not be answered in good time, so that the rest is: docs/decisions/0010-overload.md.
 *
 * @param rssMaxBytes with more resident memory this process is replaced; where nobody would, refusing everything would help nobody
 */
export function shedOverload(
  app: App,
  config: Config,
  requests: Requests,
  metrics: Metrics,
  rssMaxBytes: () => number | null,
): void {
  // Otherwise turns are measured as well, and nobody is refused.
  const isShedding = config.maxQueueDelayMs > 0;
  const maxMs = isShedding ? config.maxQueueDelayMs : Number.POSITIVE_INFINITY;
  const turns = new Turns(maxMs, (ms, count) => metrics.turnEnded(ms, count));
  app.server.on('connection', () => turns.accepted());
  // A client that says at once that no more comes is answered all the same; later, Node takes that for its leaving.
  Object.defineProperty(app.server, 'httpAllowHalfOpen', { get: () => turns.isHolding });
  const isMemoryShort = isShedding ? watchMemory(app, rssMaxBytes) : () => false;
  let refused = 0;

  const refusal = (reason: keyof typeof REFUSALS) => {
    metrics.requestShed(reason);
    // One line a second, also where requests are not logged.
    if (refused++ === 0) setTimeout(report, REPORTED_EVERY_MS).unref();
    return REFUSALS[reason];
  };
  const report = () => {
    app.log.warn({ refused }, 'overloaded: refused requests with 503');
    refused = 0;
  };

  app.addHook('onRoute', (route) => {
    const { isOperation = false, boundsItself = false } = route.config ?? {};
    if (isOperation) return;
    const limit = boundsItself || !isShedding ? undefined : new ConcurrencyLimit();
    // Not before its body is there: slow clients would take all places.
    const isBoundLater = [route.method].flat().some((method) => !BODILESS.has(method));

    let releasedNoneAt = Number.NEGATIVE_INFINITY;
    const hasRoom = (limit: ConcurrencyLimit, now: number) => {
      if (limit.enter(now)) return true;
      // It looks at all that are open.
      if (now - releasedNoneAt < RELEASE_AGAIN_AFTER_MS) return false;
      if (requests.releaseAnswered(limit)) return limit.enter(now);
      releasedNoneAt = now;
      return false;
    };
    const bound = (open: OpenRequest | undefined, now: number, done: HookHandlerDoneFunction) => {
      // The client may have left meanwhile.
      if (limit === undefined || open === undefined) done();
      else if (hasRoom(limit, now)) {
        open.limit = limit;
        open.limitedSince = now;
        done();
      } else done(refusal('concurrency'));
    };
    const admit = (open: OpenRequest | undefined, now: number, done: HookHandlerDoneFunction) => {
      if (turns.isLate(now)) done(refusal('turn'));
      else if (isMemoryShort()) done(refusal('memory'));
      else if (isBoundLater) done();
      else bound(open, now, done);
    };
    const shed: onRequestHookHandler = (_request, reply, done) => {
      // What is injected by a test may never let the loop turn.
      if (!app.server.listening) return done();
      const open = requests.of(reply);
      if (turns.isAccepting) {
        turns.afterAccepting((now) => {
          const held = requests.of(reply);
          // Otherwise its client has left meanwhile.
          if (held) admit(held, now, done);
        });
      } else admit(open, open?.startedAt ?? performance.now(), done);
    };
    route.onRequest = [shed, ...[route.onRequest ?? []].flat()];
    if (limit) {
      const { handler } = route;
      route.handler = function (request, reply) {
        const work: unknown = handler.call(this, request, reply);
        const open = requests.of(reply);
        if (open) open.work = work;
        return work;
      };
    }
    if (!isBoundLater) return;
    const boundWithBody: preHandlerHookHandler = (_request, reply, done) => {
      if (app.server.listening) bound(requests.of(reply), performance.now(), done);
      else done();
    };
    route.preHandler = [boundWithBody, ...[route.preHandler ?? []].flat()];
  });
}

/** @see https://github.com/fastify/under-pressure */
function watchMemory(app: App, rssMaxBytes: () => number | null): () => boolean {
  let isShort = () => false;
  // In a context without routes: its own hook would look up the route of each request, and refuse operations as well.
  app.register(async (context) => {
    // Called, for it has a context already; registering it would take 4 ms of the start to compare two versions.
    await underPressure(context, {
      sampleInterval: MEMORY_SAMPLED_EVERY_MS,
      eventLoopUtilizationMode: 'interval',
      maxHeapUsedBytes: getHeapStatistics().heap_size_limit * HEAP_MAX,
    });
    let isTooLarge = false;
    const watch = setInterval(() => {
      isTooLarge = context.memoryUsage().rssBytes > (rssMaxBytes() ?? Number.POSITIVE_INFINITY) * RSS_MAX;
    }, MEMORY_SAMPLED_EVERY_MS).unref();
    context.addHook('onClose', async () => clearInterval(watch));
    // What drains has been replaced, or soon ends: the last requests of its clients are answered.
    isShort = () => (isTooLarge && app.lifecycle.state !== 'draining') || context.isUnderPressure();
  });
  return () => isShort();
}
