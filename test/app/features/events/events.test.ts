import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listeningApp } from '../../../support/app.ts';
import { metricOf } from '../../../support/metrics.ts';
import { RawConnection } from '../../../support/raw.ts';
import { all, type Event, JSON_TYPE, lines, NDJSON, onEachStore, type Totals, totalsOf } from './support.ts';

const event = gzipSync('{"type":"a"}\n');
const afterZero = new Uint8Array([...event, 0, ...event]);

/** An event of 16 KB. */
const large = lines([{ type: 'a', data: 'x'.repeat(16_000) }]);

onEachStore(({ newUrl, connect, lock, keysTable }) => {
  async function eventsApp() {
    const databaseUrl = await newUrl();
    const { app, url, log } = await listeningApp({ databaseUrl });
    const post = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = NDJSON) => {
      const response = await fetch(`${url}/events`, { method: 'POST', headers, body });
      return { status: response.status, headers: response.headers, body: (await response.json()) as unknown };
    };
    const stored = () => all<Event>(url, '/events');
    const metric = (series: string) => metricOf(url, series);
    return { app, url, log, post, stored, metric, databaseUrl };
  }

  describe('POST /events', () => {
    it('takes one event as JSON, on as many lines as it likes', async () => {
      const { post, stored } = await eventsApp();
      const before = Date.now();
      expect(await post('{\n  "type": "score"\n}', JSON_TYPE)).toMatchObject({ status: 201, body: { accepted: 1 } });
      const [event] = await stored();
      expect(event).toEqual({ seq: 1, type: 'score', at: expect.any(String) });
      expect(Date.parse(event?.at ?? '')).toBeGreaterThanOrEqual(before);
    });

    it('takes lines of it, and gives each a key in their order', async () => {
      const { post, stored } = await eventsApp();
      const event = {
        id: 'x',
        type: 'score',
        value: 1.5,
        at: '2026-01-02T03:04:05.678Z',
        data: { deep: [1, null, 'é'] },
      };
      expect(await post(`${JSON.stringify(event)}\r\n\n{"type":"end","data":null}`)).toMatchObject({
        body: { accepted: 2 },
      });
      expect(await stored()).toEqual([
        { seq: 1, ...event },
        { seq: 2, type: 'end', at: expect.any(String), data: null },
      ]);
    });

    it('takes 10,000 of them, also gzip, and no more', async () => {
      const { post, stored } = await eventsApp();
      const many = Array.from({ length: 10_000 }, (_, index) => ({ type: 'many', value: index, data: 'ü'.repeat(20) }));
      const gzip = { ...NDJSON, 'content-encoding': 'gzip' };
      expect(await post(gzipSync(lines(many)), gzip)).toMatchObject({ status: 201, body: { accepted: 10_000 } });
      expect(await post(lines([...many, { type: 'more' }]))).toMatchObject({
        status: 413,
        body: { code: 'EVENTS_TOO_MANY' },
      });
      const events = await stored();
      expect(events.map(({ value }) => value)).toEqual(many.map(({ value }) => value));
    });

    it.each([
      ['2026-02-28T23:59:60.1239+01:00', '2026-02-28T23:00:00.123Z'],
      ['2024-02-29t00:00:00z', '2024-02-29T00:00:00.000Z'],
      ['0001-01-01T00:00:00-00:00', '0001-01-01T00:00:00.000Z'],
    ])('understands the time %s', async (at, told) => {
      const { post, stored } = await eventsApp();
      await post(lines([{ type: 'a', at }]));
      expect((await stored())[0]?.at).toBe(told);
    });

    it.each([
      ['no object', '7', ''],
      ['a list', '[]', ''],
      ['no JSON', '{"type":', ''],
      ['no type', '{}', '/type'],
      ['an empty type', '{"type":""}', '/type'],
      ['a type that is no text', '{"type":1}', '/type'],
      ['a type that is too long', lines([{ type: 'x'.repeat(101) }]), '/type'],
      ['a type with U+0000', lines([{ type: 'a\0' }]), '/type'],
      ['an id that is half a character', '{"type":"a","id":"\\ud800"}', '/id'],
      ['an id that is too long', lines([{ type: 'a', id: '😀'.repeat(101) }]), '/id'],
      ['a value that is text', '{"type":"a","value":"1"}', '/value'],
      ['an infinite value', '{"type":"a","value":1e999}', '/value'],
      ['a value that could not be summed up', '{"type":"a","value":-2e200}', '/value'],
      ['a day that is none', '{"type":"a","at":"2026-02-29T00:00:00Z"}', '/at'],
      ['a year that its zone makes 10000', '{"type":"a","at":"9999-12-31T23:59:00-01:00"}', '/at'],
      ['a time without its zone', '{"type":"a","at":"2026-02-28T00:00:00"}', '/at'],
      ['data that is too large', lines([{ type: 'a', data: 'x'.repeat(16 * 1024) }]), '/data'],
      ['data that is nested too deeply', `{"type":"a","data":${'['.repeat(60_000)}${']'.repeat(60_000)}}`, '/data'],
      ['a name that is not known', '{"type":"a","a/b~c":1}', '/a~1b~0c'],
      ['the name __proto__', '{"type":"a","__proto__":{}}', '/__proto__'],
      ['a line that is too long', `{"type":"${'a'.repeat(200_000)}`, ''],
    ])('refuses all for %s, and names line and place', async (_what, wrong, pointer) => {
      const { post, stored } = await eventsApp();
      const { status, body } = await post(`{"type":"a"}\n\n${wrong}`);
      expect(status).toBe(400);
      expect(body).toMatchObject({ code: 'VALIDATION_FAILED', errors: [{ in: 'body', pointer, line: 3 }] });
      expect(await stored()).toEqual([]);
    });

    it('tells all that is wrong with a line, and no line where there is one event', async () => {
      const { post } = await eventsApp();
      expect(await post('{"value":"x"}', JSON_TYPE)).toMatchObject({
        status: 400,
        body: {
          detail: 'body/type is required; body/value must be a number from -1e+200 to 1e+200',
          errors: [
            { in: 'body', pointer: '/type', detail: 'is required' },
            { in: 'body', pointer: '/value', detail: 'must be a number from -1e+200 to 1e+200' },
          ],
        },
      });
    });

    it('refuses what is not UTF-8', async () => {
      const { post } = await eventsApp();
      const wrong = new Uint8Array([...Buffer.from('{"type":"a"}\n{"type":"'), 0xff, ...Buffer.from('"}\n')]);
      expect(await post(wrong)).toMatchObject({ status: 400, body: { errors: [{ line: 2, detail: 'is not UTF-8' }] } });
    });

    it('answers a mistake before the whole body is there', async () => {
      const { url } = await eventsApp();
      const sending = request(`${url}/events`, { method: 'POST', headers: NDJSON });
      sending.write('nonsense\n');
      const status = await new Promise((resolve) => sending.on('response', ({ statusCode }) => resolve(statusCode)));
      expect(status).toBe(400);
      sending.destroy();
    });

    it.each([
      ['an empty body', '', NDJSON, 400, 'BODY_MALFORMED'],
      ['empty lines only', '\n\n', NDJSON, 400, 'BODY_MALFORMED'],
      ['another type', '{"type":"a"}', { 'content-type': 'text/plain' }, 415, 'MEDIA_TYPE_UNSUPPORTED'],
      ['another encoding', 'x', { ...NDJSON, 'content-encoding': 'br' }, 415, 'ENCODING_UNSUPPORTED'],
      ['gzip with more behind it', afterZero, { ...NDJSON, 'content-encoding': 'gzip' }, 400, 'BODY_MALFORMED'],
      ['no media type', 'x', { 'content-type': 'foo' }, 415, 'MEDIA_TYPE_UNSUPPORTED'],
      ['what is no gzip', 'x', { ...NDJSON, 'content-encoding': 'gzip' }, 400, 'BODY_MALFORMED'],
      ['an empty key', '{"type":"a"}', { ...NDJSON, 'idempotency-key': '' }, 400, 'VALIDATION_FAILED'],
      ['one event as large as many', `{"type":"a","data":"${'x'.repeat(200_000)}"}`, JSON_TYPE, 413, 'BODY_TOO_LARGE'],
      ['a body that is too large', 'x'.repeat(16 * 1024 * 1024 + 1), NDJSON, 413, 'BODY_TOO_LARGE'],
    ])('refuses %s, and counts it', async (_what, body, headers, status, code) => {
      const { post, stored, metric } = await eventsApp();
      expect(await post(body, headers)).toMatchObject({ status, body: { status, code } });
      expect(await metric(`events_rejected_total{reason="${code.toLowerCase()}"}`)).toBe(1);
      expect(await stored()).toEqual([]);
    });

    it('says which encoding it would read', async () => {
      const { post } = await eventsApp();
      const { headers } = await post('x', { ...NDJSON, 'content-encoding': 'br' });
      expect(headers.get('accept-encoding')).toBe('gzip');
    });

    it('does not unpack more than a body may have', async () => {
      const { post, metric } = await eventsApp();
      const bomb = gzipSync('\n'.repeat(200 * 1024 * 1024));
      const { status } = await post(bomb, { ...NDJSON, 'content-encoding': 'gzip' });
      expect(status).toBe(413);
      expect(await metric('events_queue_bytes')).toBe(0);
    });

    it('refuses gzip that ends early', async () => {
      const { post, stored } = await eventsApp();
      const whole = gzipSync(lines([{ type: 'a' }, { type: 'b' }]));
      expect(await post(whole.subarray(0, -9), { ...NDJSON, 'content-encoding': 'gzip' })).toMatchObject({
        status: 400,
      });
      expect(await stored()).toEqual([]);
    });

    it('stores an id once, however often and in whatever company it comes', async () => {
      const { post, stored } = await eventsApp();
      const a = { id: 'a', type: 't', value: 1 };
      expect(await post(lines([a, a]))).toMatchObject({ status: 201, body: { accepted: 2 } });
      await Promise.all(Array.from({ length: 20 }, (_, index) => post(lines([{ id: `n${index}`, type: 't' }, a]))));
      const events = await stored();
      expect(events).toHaveLength(21);
      expect(events.filter(({ id }) => id === 'a')).toEqual([expect.objectContaining({ value: 1 })]);
      expect(events.map(({ seq }) => seq)).toEqual(events.map(({ seq }) => seq).sort((a, b) => a - b));
    });

    it('stores a request with the same Idempotency-Key once, and answers the same', async () => {
      const { post, stored } = await eventsApp();
      const keyed = { ...NDJSON, 'idempotency-key': 'order 1' };
      const body = lines([{ type: 'a' }, { type: 'b' }]);
      const answers = await Promise.all(Array.from({ length: 5 }, () => post(body, keyed)));
      answers.push(await post(gzipSync(body), { ...keyed, 'content-encoding': 'gzip' }));
      for (const answer of answers) expect(answer).toMatchObject({ status: 201, body: { accepted: 2 } });
      expect(await stored()).toHaveLength(2);
      expect(await post(lines([{ type: 'c' }]), keyed)).toMatchObject({
        status: 422,
        body: { code: 'IDEMPOTENCY_KEY_REUSED' },
      });
      expect(await stored()).toHaveLength(2);
    });

    it('knows what a key stands for, also when it comes several times at once', async () => {
      const { post, stored } = await eventsApp();
      const keyed = { ...NDJSON, 'idempotency-key': 'order 2' };
      const [right, wrong] = [lines([{ type: 'right' }]), lines([{ type: 'wrong' }])];
      await post(right, keyed);
      const bodies = Array.from({ length: 30 }, (_, index) => (index % 3 === 2 ? right : wrong));
      const answers = await Promise.all(bodies.map((body) => post(body, keyed)));
      expect(answers.map(({ status }) => status)).toEqual(bodies.map((body) => (body === right ? 201 : 422)));
      expect((await stored()).map(({ type }) => type)).toEqual(['right']);
    });

    it('does not forget keys because others come again and again', async () => {
      const { post, databaseUrl } = await eventsApp();
      const keyed = { ...NDJSON, 'idempotency-key': 'again' };
      for (let repeat = 0; repeat < 5; repeat++) await post(lines([{ type: 'a' }]), keyed);
      await post(lines([{ type: 'a' }]), { ...NDJSON, 'idempotency-key': 'other' });
      const keys = await (await connect(databaseUrl)).query(`SELECT number FROM ${keysTable} ORDER BY number`);
      expect(keys).toEqual([{ number: 1 }, { number: 2 }]);
    });

    it('stores nothing of a client that leaves in the middle', async () => {
      const { app, url, stored, metric } = await eventsApp();
      const client = new RawConnection(url).send(
        'POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n{"type":"a"}\n{"type":"b"}\n',
      );
      await expect.poll(() => metric('events_queue_bytes')).toBe(1000);
      client.socket.destroy();
      await expect.poll(() => app.requests.open.length).toBe(0);
      await expect.poll(() => metric('events_queue_length')).toBe(0);
      expect(await metric('events_rejected_total{reason="client_left"}')).toBe(1);
      expect(await stored()).toEqual([]);
    });

    it('answers 503 with Retry-After when as many bytes wait as may, and has room again', async () => {
      const { post, metric, databaseUrl } = await eventsApp();
      const other = await connect(databaseUrl);
      await post(lines([{ type: 'a' }]));
      await other.query(lock);
      const waiting = [1, 2].map(() => post(large.repeat(1020)));
      await expect.poll(() => metric('events_queue_bytes')).toBeGreaterThan(32_600_000);
      const refused = await post(large.repeat(100));
      expect(refused).toMatchObject({ status: 503, body: { code: 'QUEUE_FULL' } });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      await other.query('COMMIT');
      expect(await Promise.all(waiting)).toMatchObject([{ status: 201 }, { status: 201 }]);
      expect(await post(large)).toMatchObject({ status: 201 });
    });

    it('lets bodies that do not go on keep nobody out', async () => {
      const { url, post, metric, stored } = await eventsApp();
      const slow = [1, 2].map(() => {
        const sending = request(`${url}/events`, { method: 'POST', headers: NDJSON }).on('error', () => {});
        onTestFinished(() => void sending.destroy());
        sending.write(large.repeat(1020));
        return sending;
      });
      const answers = slow.map(async (sending) => (await once(sending, 'response'))[0] as IncomingMessage);
      await expect.poll(() => metric('events_queue_bytes')).toBeGreaterThan(32_600_000);
      await expect.poll(async () => (await post(large.repeat(100))).status, { timeout: 10_000 }).toBe(201);
      expect(await Promise.race(answers)).toMatchObject({
        statusCode: 503,
        headers: { 'retry-after': expect.any(String) },
      });
      expect(await metric('events_rejected_total{reason="body_slow"}')).toBe(1);
      for (const sending of slow) sending.end();
      const statuses = (await Promise.all(answers)).map(({ statusCode }) => statusCode);
      expect(statuses.sort()).toEqual([201, 503]);
      expect(await stored()).toHaveLength(1120);
    });

    it('is not slowed down by bodies in the smallest pieces', async () => {
      const { url, metric } = await eventsApp();
      const pieces = '1\r\n \r\n'.repeat(10_000);
      const clients = Array.from({ length: 20 }, () =>
        new RawConnection(url).send(
          `POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n${pieces}`,
        ),
      );
      const startedAt = performance.now();
      await expect.poll(() => metric('events_queue_bytes'), { timeout: 20_000 }).toBe(200000);
      expect(performance.now() - startedAt).toBeLessThan(5000);
      for (const { socket } of clients) socket.destroy();
    });

    it('answers others while clients begin large bodies and leave, again and again', async () => {
      const { url, post } = await eventsApp();
      let isOver = false;
      const half = Buffer.from(lines(Array.from({ length: 9000 }, () => ({ type: 'a', data: 'x'.repeat(100) }))));
      const leaving = Array.from({ length: 8 }, async () => {
        while (!isOver) {
          const sending = request(`${url}/events`, { method: 'POST', headers: NDJSON, agent: false });
          sending.on('error', () => {});
          await new Promise((sent) => {
            // Where it has no connection any more, nobody says that it is written.
            sending.on('close', sent);
            sending.write(half, sent);
          });
          sending.destroy();
        }
      });
      const until = performance.now() + 3000;
      while (performance.now() < until) await post(lines([{ type: 'b' }]));
      isOver = true;
      await Promise.all(leaving);
      // Long before what they have begun is late.
      await expect.poll(async () => (await post(lines([{ type: 'b' }]))).status, { timeout: 15_000 }).toBe(201);
      expect((await (await fetch(`${url}/events?type=a`)).json()) as unknown).toEqual([]);
    });

    it('tells each of pipelined requests what became of its own events', async () => {
      const { url, stored } = await eventsApp();
      const one = (body: string) =>
        `POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      const client = new RawConnection(url).send(
        one('{"type":"a"}\n{"type":"b"}') + one('{"type":1}') + one('{"type":"c"}'),
      );
      await client.until('{"accepted":1}');
      expect([...client.received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
        '201',
        '400',
        '201',
      ]);
      expect((await stored()).map(({ type }) => type).sort()).toEqual(['a', 'b', 'c']);
    });
  });

  describe('GET /events', () => {
    it('pages by key, of all types or of one', async () => {
      const { url, post } = await eventsApp();
      await post(lines(Array.from({ length: 10 }, (_, index) => ({ type: `a&b${index % 2}`, value: index }))));
      const values = async (path: string) => (await all<Event>(url, path)).map(({ value }) => value);
      expect(await values('/events?limit=3')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(await values('/events?limit=2&type=a%26b1')).toEqual([1, 3, 5, 7, 9]);
      expect(await values('/events?after=8')).toEqual([8, 9]);
      expect(await values('/events?after=10')).toEqual([]);
      const response = await fetch(`${url}/events?limit=2&type=a%26b1`);
      expect(response.headers.get('link')).toBe('</events?type=a%26b1&limit=2&after=4>; rel="next"');
      expect((await fetch(`${url}/events?limit=10`)).headers.get('link')).toBeNull();
    });

    it('reads so much at a time and no more, and goes on', async () => {
      const { url, post, stored } = await eventsApp();
      const count = 100;
      await post(lines(Array.from({ length: count }, () => ({ type: 'a', data: 'x'.repeat(10_000) }))));
      const answers = await Promise.all(Array.from({ length: 200 }, () => fetch(`${url}/events?limit=1000`)));
      const statuses = new Set(answers.map(({ status }) => status));
      await Promise.all(answers.map((answer) => answer.arrayBuffer()));
      expect([...statuses].sort()).toEqual([200, 503]);
      expect(await stored()).toHaveLength(count);
      expect(await post(lines([{ type: 'b' }]))).toMatchObject({ status: 201 });
    });

    it('ends a page early where its events are large', async () => {
      const { url, post } = await eventsApp();
      await post(lines(Array.from({ length: 200 }, () => ({ type: 'a', data: 'x'.repeat(16_000) }))));
      const first = await fetch(`${url}/events?limit=1000`);
      expect(((await first.json()) as Event[]).length).toBeLessThan(80);
      expect(await all(url, '/events?limit=1000')).toHaveLength(200);
    });

    it.each(['limit=0', 'limit=1001', 'limit=x', 'after=-1', 'after=1e309', 'type=', 'type=%00'])(
      'refuses %s',
      async (query) => {
        const { url } = await eventsApp();
        const response = await fetch(`${url}/events?${query}`);
        expect(response.status).toBe(400);
        expect(await response.json()).toMatchObject({ errors: [{ in: 'query', pointer: `/${query.split('=')[0]}` }] });
      },
    );
  });

  describe('GET /events/summary', () => {
    it('has count, sum, least, greatest, first and last of each type, as the events have them', async () => {
      const { url, post, stored } = await eventsApp();
      const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute, 30)).toISOString();
      for (let batch = 0; batch < 5; batch++) {
        const of = (index: number) => ({ type: `t${index % 3}`, at: at((batch * 7 + index) % 10), id: `${index}` });
        await post(lines(Array.from({ length: 30 }, (_, index) => ({ ...of(index + batch * 20), value: index - 7 }))));
        await post(lines([{ type: 'without' }]));
      }
      const events = await stored();
      expect(events).toHaveLength(115);
      expect(await all<Totals>(url, '/events/summary')).toEqual(totalsOf(events));
      expect(await all<Totals>(url, '/events/summary?limit=1')).toEqual(totalsOf(events));
      expect(await all<Totals>(url, '/events/summary?type=t1')).toEqual(
        totalsOf(events.filter(({ type }) => type === 't1')),
      );
    });

    it('has them of each minute', async () => {
      const { url, post, stored } = await eventsApp();
      const at = (second: number) => new Date(Date.UTC(1969, 11, 31, 23, 58, second)).toISOString();
      await post(
        lines(Array.from({ length: 200 }, (_, index) => ({ type: `t${index % 2}`, value: index, at: at(index) }))),
      );
      const events = await stored();
      const minutes = [...new Set(events.map(({ at: time }) => `${time.slice(0, 16)}:00.000Z`))].sort();
      const expected = minutes.flatMap((minute) =>
        totalsOf(events.filter((event) => event.at.startsWith(minute.slice(0, 16)))).map((totals) => ({
          minute,
          ...totals,
        })),
      );
      expect(expected).toHaveLength(8);
      expect(await all(url, '/events/summary?by=minute')).toEqual(expected);
      expect(await all(url, '/events/summary?by=minute&limit=3')).toEqual(expected);
      expect(await all(url, '/events/summary?by=minute&type=t1&limit=1')).toEqual(
        expected.filter(({ type }) => type === 't1'),
      );
    });
  });
});
