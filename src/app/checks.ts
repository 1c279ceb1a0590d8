/** `reason` is for operators: it may name files and hosts, and goes to `/health` only. */
export type Check = { readonly status: 'ok' } | { readonly status: 'unavailable'; readonly reason: string };

/**
 * What the service needs in order to do its work, and whether it is there. Each feature adds its own; readiness follows all of
 * them, liveness none.
 */
export class Checks {
  readonly #checks = new Map<string, () => Check>();

  /** @param check looks at what is known already: it is asked several times a second */
  add(name: string, check: () => Check): void {
    this.#checks.set(name, check);
  }

  results(): Record<string, Check> {
    return Object.fromEntries([...this.#checks].map(([name, check]) => [name, check()]));
  }

  /** The names of those that are not there. */
  failing(): string[] {
    return [...this.#checks].filter(([, check]) => check().status !== 'ok').map(([name]) => name);
  }
}
