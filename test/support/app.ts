import { expect, onTestFinished } from 'vitest';
import { buildApp, type Surroundings } from '../../src/app/app.ts';
import type { App } from '../../src/app/types.ts';
import type { Config } from '../../src/config/settings.ts';
import { checkAnswers } from './documented-answers.ts';
import { extraRoutes } from './extra-routes.js';
import type { LogLine } from './log.ts';
import { keptLog } from './log.ts';

/**
 * The app as shipped, loaded, its log kept instead of printed. It is closed when its test ends, which fails where an answer was
 * not as its route's schema says.
 */
export async function readyApp(
  overrides: Partial<Config> = {},
  extend: (app: App) => void = () => {},
  surroundings: Surroundings = {},
): Promise<{ app: App; log: LogLine[] }> {
  const { lines, log } = keptLog();
  const app = buildApp({ databaseUrl: 'file::memory:', ...overrides }, { log, ...surroundings });
  const undocumented = checkAnswers(app);
  onTestFinished(async () => {
    await app.close();
    expect(undocumented).toEqual([]);
  });
  app.register(extraRoutes);
  extend(app);
  await app.ready();
  return { app, log: lines };
}

/** The same, listening on a free port. */
export async function listeningApp(
  overrides: Partial<Config> = {},
  extend?: (app: App) => void,
  surroundings?: Surroundings,
): Promise<{ app: App; log: LogLine[]; url: string }> {
  const { app, log } = await readyApp(overrides, extend, surroundings);
  return { app, log, url: await app.listen({ host: '127.0.0.1', port: 0 }) };
}
