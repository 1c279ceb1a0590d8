import { parseArgs } from 'node:util';
import { explain } from '../config/explain.ts';
import { ConfigError, readConfig } from '../config/read-config.ts';
import type { Config } from '../config/settings.ts';

const USAGE = `Usage: npm start -- [option]

  --check            read the configuration, build the app, open the store of the events and bring its tables to this
                     version, listen on free ports, for PORT and OPS_PORT may be the running service's, close; exit code 0
                     if all went well
  --explain-config   print each setting, its value and where it came from
  --help             print this

Settings are environment variables; --explain-config names them.`;

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
