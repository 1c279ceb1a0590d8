import type { RouteOptions } from 'fastify';

/**
 * What operators ask is no part of what the service does.
 *
 * @param routes all of the app, once they are known
 */
export function forUsers(routes: readonly RouteOptions[]): (route: string) => boolean {
  let operations: Set<string> | undefined;
  return (route) => {
    operations ??= new Set(routes.filter(({ config }) => config?.isOperation).map(({ url }) => url));
    return !operations.has(route);
  };
}
