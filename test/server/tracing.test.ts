import { describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { freePort } from '../support/free-port.ts';
import { type Answer, OtlpReceiver, type ReceivedSpan, STATUS_ERROR } from '../support/otlp-receiver.ts';
import { Service } from '../support/processes.ts';
import { RawConnection } from '../support/raw.ts';

const ENTRY = 'src/server/main.js';

/** Longer than the last spans may take, and what a drain without connections takes. */
const SOON_MS = 3000;

const greet = async (url: string, times: number) => {
  for (let time = 0; time < times; time++) {
    await (await fetch(`${url}/greet`, { headers: { connection: 'close' } })).text();
  }
};

/** How long a process takes from the signal to its end, and how it ends. */
async function stop(service: Service): Promise<{ code: number | string; ms: number }> {
  const toldAt = performance.now();
  service.child.kill('SIGTERM');
  const code = await service.ended();
  return { code, ms: performance.now() - toldAt };
}

const pidsOf = (spans: readonly ReceivedSpan[]) => [...new Set(spans.map(({ resource }) => resource['process.pid']))];

describe('a process that is stopped', () => {
  it('has sent the spans of all its requests, the last one included', async () => {
    const receiver = await OtlpReceiver.start();
    const service = new Service(ENTRY, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    const url = await service.ready();
    await greet(url, 20);
    const client = new RawConnection(url).send('GET /trickle?ms=500 HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('first');
    expect(await stop(service)).toMatchObject({ code: 0 });
    expect(receiver.named('GET /greet')).toHaveLength(20);
    expect(receiver.named('GET /trickle')).toHaveLength(1);
    expect(pidsOf(receiver.spans)).toEqual([service.pid]);
  });

  it('has told of the requests that it had to cut', async () => {
    const receiver = await OtlpReceiver.start();
    const service = new Service(ENTRY, {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      DRAIN_TIMEOUT_MS: '600',
      DRAIN_IDLE_MS: '100',
    });
    const url = await service.ready();
    const client = new RawConnection(url).send('GET /trickle?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('first');
    const waiting = new RawConnection(url).send('GET /never HTTP/1.1\r\nHost: x\r\n\r\n');
    await greet(url, 1);
    expect(await stop(service)).toMatchObject({ code: 1 });
    await waiting.closed();
    const [trickle, never] = [receiver.named('GET /trickle'), receiver.named('GET /never')];
    expect(trickle).toEqual([
      expect.objectContaining({
        status: STATUS_ERROR,
        attributes: expect.objectContaining({ 'error.type': 'aborted', 'http.response.status_code': 200 }),
      }),
    ]);
    expect(never).toEqual([expect.objectContaining({ status: STATUS_ERROR })]);
    expect(never[0]?.attributes).not.toHaveProperty('http.response.status_code');
  });

  it.each<[string, string, Answer | undefined]>([
    ['is gone', 'not delivered', undefined],
    ['does not answer', 'not delivered', () => {}],
    ['fails', 'not delivered', (response) => response.writeHead(500).end()],
    ['is overloaded', 'not delivered', (response) => response.writeHead(429, { 'retry-after': '30' }).end()],
    ['answers nonsense', 'could not deserialize', (response) => response.end('<html>')],
    ['is slow', '', (response) => setTimeout(() => response.end(), 700)],
  ])('ends in time and with 0 where the receiver %s', async (_what, complaint, answer) => {
    const receiver = await OtlpReceiver.start();
    const service = new Service(ENTRY, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    await greet(await service.ready(), 10);
    if (answer === undefined) await receiver.close();
    else receiver.answer = answer;
    const { code, ms } = await stop(service);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(SOON_MS);
    expect(service.lines('drained')).toHaveLength(1);
    const complaints = service.log.filter(({ msg }) => msg?.startsWith('traces: '));
    expect(complaints.map(({ msg }) => msg).join('\n')).toContain(complaint);
    expect(complaints.length).toBeLessThanOrEqual(2);
    expect(complaint === '' ? complaints : []).toEqual([]);
  });

  it('takes no longer than its budget for spans that nobody takes, having used it up before', async () => {
    const receiver = await OtlpReceiver.start(() => {});
    const service = new Service(ENTRY, {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      DRAIN_TIMEOUT_MS: '600',
      DRAIN_IDLE_MS: '100',
    });
    const url = await service.ready();
    await greet(url, 1);
    const client = new RawConnection(url).send('GET /trickle?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until('first');
    const { code } = await stop(service);
    expect(code).toBe(1);
    const [report] = service.lines('drained; the requests still open at the deadline were cut');
    expect(Number(report?.ms)).toBeLessThan(600 + 500 + 200);
  });

  it('ends at once on a second signal, whoever waits for its spans', async () => {
    const receiver = await OtlpReceiver.start(() => {});
    const service = new Service(ENTRY, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, DRAIN_DELAY_MS: '60000' });
    await greet(await service.ready(), 10);
    service.child.kill('SIGTERM');
    await service.until(() => service.lines('draining').length > 0);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await stop(service)).toMatchObject({ code: 1 });
  });
});

it('a receiver that is not there does not keep a process from starting, nor it and its requests from going on', async () => {
  const service = new Service(ENTRY, { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}` });
  const url = await service.ready();
  await greet(url, 1000);
  expect(await stop(service)).toMatchObject({ code: 0 });
  expect(service.lines('request')).toHaveLength(1000);
});

it('what OpenTelemetry reads from the environment holds', async () => {
  const receiver = await OtlpReceiver.start();
  const service = new Service(ENTRY, {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20secret,x-scope=blue',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_SERVICE_NAME: 'shop',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.version=7',
    OTEL_TRACES_SAMPLER: 'always_on',
  });
  await greet(await service.ready(), 1);
  expect(await stop(service)).toMatchObject({ code: 0 });
  expect(receiver.requests.map(({ headers }) => headers)).toEqual([
    expect.objectContaining({ 'api-key': 'a secret', 'x-scope': 'blue', 'content-encoding': 'gzip' }),
  ]);
  expect(receiver.spans.map(({ resource }) => resource)).toEqual([
    expect.objectContaining({
      'service.name': 'shop',
      'service.version': '7',
      'deployment.environment.name': 'test',
    }),
  ]);
  expect(service.output).not.toContain('a secret');
});

it('operations make no spans on a port of their own either, and others do as ever', async () => {
  const receiver = await OtlpReceiver.start();
  const service = new Service(ENTRY, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OPS_PORT: '0' });
  const url = await service.ready();
  const [ready] = service.lines('ready');
  for (const path of ['/livez', '/readyz', '/health', '/metrics']) {
    await (await fetch(`http://127.0.0.1:${ready?.opsPort}${path}`, { headers: { connection: 'close' } })).text();
  }
  await greet(url, 1);
  expect(await stop(service)).toMatchObject({ code: 0 });
  expect(receiver.spans.map(({ name }) => name)).toEqual(['GET /greet']);
});

describe('with workers', () => {
  it('all spans arrive, those of workers that a reload has replaced as well', async () => {
    const receiver = await OtlpReceiver.start();
    const service = new Cluster({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    const url = await service.started(2);
    await greet(url, 50);
    service.child.kill('SIGHUP');
    await service.logged('reload: done');
    await greet(url, 50);
    expect(await stop(service)).toMatchObject({ code: 0 });
    expect(receiver.named('GET /greet')).toHaveLength(100);
    const workers = new Set(service.workers);
    expect(pidsOf(receiver.spans).filter((pid) => !workers.has(Number(pid)))).toEqual([]);
  });

  it('a receiver that does not answer keeps no worker from leaving', async () => {
    const receiver = await OtlpReceiver.start(() => {});
    const service = new Cluster({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    await greet(await service.started(2), 20);
    const { code, ms } = await stop(service);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(SOON_MS);
    expect(service.lines('killed a worker')).toEqual([]);
  });
});
