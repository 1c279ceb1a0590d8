import { expect, it } from 'vitest';
import { pathOf } from '../../../src/app/http/path-of.ts';

it.each([
  ['/a/b', '/a/b'],
  ['/a?token=secret', '/a'],
  ['/a#secret', '/a'],
  ['/a;jsessionid=secret/b', '/a'],
  ['http://user:secret@host/a?b', '/a'],
  ['//user:secret@host/a', '//host/a'],
  ['//a/b@c', '//a/b@c'],
])('of %s the log has %s', (url, path) => {
  expect(pathOf(url)).toBe(path);
});
