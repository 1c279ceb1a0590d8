import type { IncomingMessage } from 'node:http';
import { expect, it } from 'vitest';
import { hostRefusal } from '../../../src/app/http/host.ts';
import { Service } from '../../support/processes.ts';
import { RawConnection } from '../../support/raw.ts';

function refusalOf(hosts: readonly string[], httpVersion = '1.1') {
  const rawHeaders = ['Accept', '*/*', ...hosts.flatMap((host) => ['Host', host]), 'From', 'me'];
  return hostRefusal({ rawHeaders, httpVersion } as IncomingMessage)?.code;
}

it.each([
  '',
  'x',
  'example.com',
  'Example.com:8080',
  'example.com:',
  ':80',
  '127.0.0.1:3000',
  '[::1]',
  '[::1]:3000',
  '[::ffff:127.0.0.1]:80',
  '[2001:DB8::1]',
  '[v1.a:b]',
  'under_score-~.local',
  "sub!$&'()*+,;=delims",
  'b%C3%BCcher.example',
])('a host that RFC 3986 allows is taken: %j', (host) => {
  expect(refusalOf([host])).toBe(undefined);
});

it.each([
  'a b',
  'a/b',
  'a b/c@d',
  'user@example.com',
  'http://example.com',
  'example.com:80:80',
  'example.com:http',
  'example.com:-1',
  'a?b',
  'a#b',
  'a\\b',
  'a"b',
  '<a>',
  'b\u00fccher.example',
  '%',
  '%2',
  '%zz',
  '::1',
  '[]',
  '[::1',
  '::1]',
  '[1.2.3.4]',
  '[:::]',
  '[::1%25eth0]',
  '[::1]a',
  '[v1]',
  'a[::1]',
])('one that it does not allow is refused: %j', (host) => {
  expect(refusalOf([host])).toBe('HOST_INVALID');
});

it('one is needed, unless the request is of HTTP/1.0, and no more than one is taken', () => {
  expect(refusalOf([])).toBe('HOST_MISSING');
  expect(refusalOf([], '1.0')).toBe(undefined);
  expect(refusalOf(['a', 'a'])).toBe('HOST_INVALID');
  expect(refusalOf(['', 'a'])).toBe('HOST_INVALID');
  expect(refusalOf(['a', 'a'], '1.0')).toBe('HOST_INVALID');
  expect(refusalOf(['a/b'], '1.0')).toBe('HOST_INVALID');
});

it('however long a host is, looking at it takes no longer than that', () => {
  for (const part of ['a', '%41', '%', '[', ':', ':1', '1', 'a:', '.']) {
    const begun = performance.now();
    refusalOf([`${part.repeat(100_000)}/`]);
    // Were it the square of that, it would be minutes.
    expect(performance.now() - begun).toBeLessThan(1000);
  }
});

it('both ports tell it as a problem, and count it as a request', async () => {
  const service = new Service('src/server/main.js', { OPS_PORT: '0' });
  await service.ready();
  const ask = (port: string, route: string, hosts: string) =>
    new RawConnection(`http://127.0.0.1:${port}`)
      .send(`GET ${route} HTTP/1.1\r\n${hosts}Connection: close\r\n\r\n`)
      .closed();
  const portOf = (name: string) =>
    service.until(({ log }) =>
      log.flatMap(({ msg = '' }) => new RegExp(`^${name} listening at .*:(\\d+)$`).exec(msg)?.[1] ?? []).at(0),
    );
  for (const [name, route] of [
    ['Server', '/greet'],
    ['Operations', '/livez'],
  ] as const) {
    const port = await portOf(name);
    expect(await ask(port, route, 'Host: a\r\n')).toMatch(/^HTTP\/1.1 200 /);
    expect(await ask(port, route, '')).toMatch(/^HTTP\/1.1 400 .*"code":"HOST_MISSING"/s);
    expect(await ask(port, route, 'Host: a\r\nhOST: b\r\n')).toMatch(/^HTTP\/1.1 400 .*"code":"HOST_INVALID"/s);
    expect(await ask(port, route, 'Host: a b/c@d\r\n')).toMatch(/^HTTP\/1.1 400 .*"code":"HOST_INVALID"/s);
  }
  await service.until(() => service.lines('request').filter(({ status }) => status === 400).length === 6);
  expect(service.lines('malformed request')).toEqual([]);
});
