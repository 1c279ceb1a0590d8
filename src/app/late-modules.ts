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
 * Loads what nobody has needed yet. From then on a process does not depend on files that a deployment may be replacing.
 *
 * @throws {AggregateError} where some could not be loaded; the others are
 */
export async function loadLateModules(): Promise<void> {
  const errors: unknown[] = [];
  for (const load of loaders) {
    try {
      await load();
    } catch (error) {
      errors.push(error);
    }
    await nextTurn();
  }
  if (errors.length > 0) throw new AggregateError(errors, errors.map(String).join('; '));
}
