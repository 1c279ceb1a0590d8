import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** To be preloaded into real processes, see there. */
export const EXTRA_ROUTES = fileURLToPath(new URL('extra-routes.js', import.meta.url));

/** The same. */
export const TELL_LOADED = fileURLToPath(new URL('tell-loaded.js', import.meta.url));
