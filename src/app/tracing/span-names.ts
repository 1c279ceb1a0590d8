import { isKnown } from '../http/methods.ts';

/** The template, not the path, of which there are as many as clients like. */
export function nameOf(method: string, route: string | undefined): string {
  const known = isKnown(method) ? method : 'HTTP';
  return route === undefined ? known : `${known} ${route}`;
}
