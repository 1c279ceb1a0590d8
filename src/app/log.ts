import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import type { Config } from '../config/settings.ts';

/**
 * JSON lines, one an event, for machines to read: `level` in words, `time` in milliseconds since 1970.
 *
 * @param worker which process this is; in every line
 * @param destination standard output where none is given
 */
export function createLogger(config: Config, worker: string, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level: config.logLevel,
    base: { pid: process.pid, worker },
    formatters: { level: (label) => ({ level: label }) },
  };
  return destination ? pino(options, destination) : pino(options);
}
