// To be preloaded into a real process: when that ends, it tells all that was loaded of Node's own modules and of CommonJS.
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';

const { cache } = createRequire(import.meta.url);

process.on('exit', () => {
  const { moduleLoadList } = /** @type {{ moduleLoadList: string[] }} */ (/** @type {unknown} */ (process));
  // In one piece: console.log would leave the rest to a process that ends.
  writeSync(1, [...moduleLoadList, ...Object.keys(cache)].join('\n'));
});
