// JavaScript, so that a Node too old for the rest can still read this and say so.
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const OLDEST_NODE = 24;

/** The exit code for what starting again cannot mend: EX_CONFIG of sysexits.h. */
export const EXIT_CONFIG = 78;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGQUIT'];

/** Requests to a supervisor. By default they would end or stop a process that is none, or not yet. */
const FOR_SUPERVISOR = ['SIGHUP', 'SIGTTIN', 'SIGTTOU', 'SIGUSR2'];

/** Beside the code it is made from, so that only those who may write the one may write the other. */
const COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/node-compile', import.meta.url));

/**
 * Runs an entry point: checks the version of Node, then imports the rest. Import errors are caught as well, for under PM2
 * a process whose top-level await fails stays, and is shown as online.
 *
 * With the compile cache, a process starts in two thirds of the time and is 20 MB smaller: nothing has to strip the types.
 *
 * @param {() => Promise<{ main: () => unknown }>} load imports the module whose `main` is the program
 * @returns {Promise<void>}
 */
export async function enter(load) {
  if (!isNodeNewEnough()) return;
  for (const signal of SIGNALS) process.on(signal, endEarly);
  for (const signal of FOR_SUPERVISOR) process.on(signal, () => {});
  module.enableCompileCache(COMPILE_CACHE);
  process.on('beforeExit', failStuck);
  try {
    const { main } = await load();
    await main();
    process.off('beforeExit', failStuck);
    // Else it would be written at the exit only, and never after a kill.
    module.flushCompileCache();
  } catch (error) {
    fail(error);
  }
}

/**
 * @param {unknown} error
 * @returns {never}
 */
function fail(error) {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  // These say what to do; where in the code they came from helps nobody.
  const isForOperator = ['CONFIG_INVALID', 'CANNOT_LISTEN', 'CANNOT_OPEN_STORE'].includes(String(code));
  console.error(isForOperator && error instanceof Error ? error.message : error);
  process.exit(code === 'CONFIG_INVALID' ? EXIT_CONFIG : 1);
}

// Node ends a process in which nothing is left to happen, with 0, also where somebody still waits for something.
function failStuck() {
  fail(
    new Error('The start waits for something that never happens: an "await" at the top of a module, or in a plugin.'),
  );
}

// Nothing is served yet that could be lost. The kernel withholds signals from a container's first process until it listens.
function endEarly() {
  process.exit(0);
}

/**
 * From here on the signals are the caller's, who has to listen already: with the last listener Node drops the signals that have
 * arrived meanwhile.
 */
export function takeSignals() {
  for (const signal of SIGNALS) process.off(signal, endEarly);
}

/** Ends the process with exit code 78 where this Node is too old. */
export function isNodeNewEnough() {
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) return true;
  console.error(
    `Mainstay needs Node.js ${OLDEST_NODE} or newer, and this is ${process.versions.node} (${process.execPath}): "npm start" and "npx pm2" run the one that "npm ci --include=dev" installs.`,
  );
  process.exit(EXIT_CONFIG);
}
