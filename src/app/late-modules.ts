import { setImmediate as nextTurn } from 'node:timers/promises';

const loaders = new Set<() => Promise<unknown>>();

/**
 * @param load imports a module that a start does without, so that it is short
 * @returns the same, for whoever needs it first
 */
export function lateModule<Module>(load: () => Promise<Module>): () => Promise<Module> {
  loaders.add(load);
  return load;
}

/**
 * Loads what nobody has needed yet. From then on a process does not depend on files that a deployment may be replacing; Node never
 * tries again to import what it could not import once.
 */
export async function loadLateModules(): Promise<void> {
  for (const load of loaders) {
    await load();
    await nextTurn();
  }
}
