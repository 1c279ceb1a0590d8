import type { Readable } from 'node:stream';
import type { FastifyReply, onErrorHookHandler } from 'fastify';
import type { Registry } from 'prom-client';
import type { Config } from '../../../config/settings.ts';
import type { Checks } from '../../checks.ts';
import { codeOf } from '../../errors/answer-errors.ts';
import { Refusal } from '../../errors/refusal.ts';
import type { Plugin } from '../../types.ts';
import type { Vitals } from '../../vitals.ts';
import { EventThread, type Part } from './event-thread.ts';
import type { Format } from './messages.ts';
import { receive } from './receive.ts';
import { paging, posting, summing } from './schemas.ts';

const FORMATS: Record<string, Format> = { 'application/json': 'json', 'application/x-ndjson': 'ndjson' };

/** Kept nowhere, so that opening it cannot fail: it waits for the first request, and most tests have none. */
const IN_MEMORY = 'file::memory:';

/** By the queue of the thread. */
const bounded = { boundsItself: true };

export type EventsOptions = {
  readonly registry: Registry;
  readonly vitals: Vitals;
  readonly checks: Checks;
  readonly config: Config;
};

/**
 * Takes events and keeps them, as a model of writing much, fast, and without losing any: what was acknowledged is on the disk.
 *
 * - `POST /events`, an event as JSON or up to 10,000 as lines of it (`application/x-ndjson`), gzip or not, each
 *   `{ id?, type, value?, at?, data? }` → 201 `{"accepted":2}` when all of them are committed, or none is stored. An `id`
 *   is stored once, and so is the body of an `Idempotency-Key`: whoever got no answer asks again.
 * - `GET /events?type=&after=&limit=` → the events by their keys (`seq`), which grow from commit to commit, and
 *   `Link: …; rel="next"` while there are more.
 * - `GET /events/summary?by=type|minute&type=` → count, sum, min and max of the values, first and last time; always those of
 *   exactly the events that can be read.
 */
export const events: Plugin<EventsOptions> = (app, { registry, vitals, checks, config }, done) => {
  const thread = new EventThread(config, registry, app.log);
  thread.metrics.addTo(vitals);
  if (config.databaseUrl !== IN_MEMORY) {
    // Begun now: the thread starts while Fastify is still busy with the routes.
    const opening = thread.open();
    opening.catch(() => {});
    app.addHook('onReady', () => opening);
  }
  app.addHook('onClose', () => thread.close());
  checks.add('events', () => thread.check);

  // The thread reads the bodies.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(Object.keys(FORMATS), (_request, body, taken) => taken(null, body));
  app.addContentTypeParser('*', (_request, _body, taken) => taken(typeUnsupported()));

  const onError: onErrorHookHandler = (_request, _reply, error, counted) => {
    thread.metrics.rejected(codeOf(error));
    counted();
  };
  app.post('/events', { config: bounded, schema: posting, onError }, async (request, reply) => {
    const { 'idempotency-key': key, 'content-length': length = '0', 'content-type': mediaType = '' } = request.headers;
    const isGzip = isGzipped(request.headers['content-encoding'], reply);
    const body = request.body as Readable | undefined;
    const format = FORMATS[mediaType.replace(/\s*;.*$/s, '').toLowerCase()];
    if (body === undefined || format === undefined) throw new Refusal(400, 'BODY_MALFORMED', 'The body is empty.');
    const submission = thread.begin(format, key, Number(length));
    const accepted = await receive(body, isGzip, submission);
    reply.code(201);
    return { accepted };
  });

  app.get('/events', { config: bounded, schema: paging }, async (request, reply) => {
    const { type, after, limit } = request.query;
    const part = await thread.page({ type, after, limit });
    return sendPart(reply, '/events', { type, limit }, part);
  });

  app.get('/events/summary', { config: bounded, schema: summing }, async (request, reply) => {
    const { type, by, after, limit } = request.query;
    const part = await thread.summary({ type, by, after, limit });
    return sendPart(reply, '/events/summary', { by, type, limit }, part);
  });
  done();
};

function sendPart(reply: FastifyReply, path: string, query: Record<string, string | number | undefined>, part: Part) {
  if (part.next !== undefined) {
    const next = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...query, after: part.next })) {
      if (value !== undefined) next.set(name, String(value));
    }
    reply.header('link', `<${path}?${next}>; rel="next"`);
  }
  reply.header('cache-control', 'no-store').type('application/json; charset=utf-8');
  return reply.send(Buffer.from(part.json.buffer));
}

function typeUnsupported(): Refusal {
  const detail = `Events are read as ${Object.keys(FORMATS).join(', or, one a line, as ')}: send that content-type.`;
  return new Refusal(415, 'MEDIA_TYPE_UNSUPPORTED', detail);
}

/** @throws {Refusal} for an encoding other than gzip */
function isGzipped(encoding: string | undefined, reply: FastifyReply): boolean {
  const name = encoding?.trim().toLowerCase() ?? 'identity';
  if (name === 'identity' || name === '') return false;
  if (name === 'gzip' || name === 'x-gzip') return true;
  // RFC 9110, 15.5.16.
  reply.header('accept-encoding', 'gzip');
  throw new Refusal(415, 'ENCODING_UNSUPPORTED', 'The content-encoding of the body is not supported: send it as gzip.');
}
