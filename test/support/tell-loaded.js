// To be preloaded into a real process: when that ends, it tells all that was loaded: of Node's own modules, and of others by import or require.
import { writeSync } from 'node:fs';
import { registerHooks } from 'node:module';

/** @type {Set<string>} */
const loaded = new Set();

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    loaded.add(found.url);
    return found;
  },
});

process.on('exit', () => {
  const { moduleLoadList } = /** @type {{ moduleLoadList: string[] }} */ (/** @type {unknown} */ (process));
  // In one piece: console.log would leave the rest to a process that ends.
  writeSync(1, [...moduleLoadList, ...loaded].join('\n'));
});
