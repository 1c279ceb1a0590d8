import { parseArgs } from 'node:util';
import { explain } from '../config/explain.ts';
import { ConfigError, readConfig } from '../config/read-config.ts';
import type { Config } from '../config/settings.ts';

const USAGE = `Usage: npm start -- [option]

  --check            try a start beside whatever is running: read the settings, load the app with all that it opens
                     (a database, if it has one, is created or updated), listen on free ports instead of PORT and
                     OPS_PORT, and stop. The exit code is 0 if that worked
  --explain-config   print each setting, its value, and whether it was set or is the default
  --help             print this

Settings are environment variables. --explain-config lists them; README.md says what each one does.`;

/**
 * Does what the command line asks for.
 *
 * @returns the configuration to serve with, or nothing when serving was not what was asked for
 * @throws {ConfigError} for an unknown option or a wrong setting
 */
export async function obeyCommandLine(): Promise<Config | undefined> {
  const options = parseOptions();
  if (options.help) {
    console.log(USAGE);
    return undefined;
  }
  const config = readConfig(process.env);
  if (options['explain-config']) console.log(explain(config, process.env));
  if (options.check) {
    const { check } = await import('./check.ts');
    await check(config);
  }
  return options.check || options['explain-config'] ? undefined : config;
}

function parseOptions() {
  const boolean = { type: 'boolean' } as const;
  try {
    return parseArgs({ options: { check: boolean, 'explain-config': boolean, help: boolean } }).values;
  } catch (error) {
    throw new ConfigError([`${(error as Error).message}; --help lists the options`]);
  }
}
