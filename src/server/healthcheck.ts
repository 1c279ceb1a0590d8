import { readConfig } from '../config/read-config.ts';
import { get } from '../node-http.ts';

const TIMEOUT_MS = 2000;
const WILDCARDS = ['0.0.0.0', '::'];

/** The image's HEALTHCHECK: ends with 0 when the service on the configured address is live, with 1 when it is not. */
export function main(): void {
  const { host, port, opsPort } = readConfig(process.env);
  const fail = (reason: string) => {
    console.error(reason);
    process.exit(1);
  };
  const request = get({
    host: WILDCARDS.includes(host) ? 'localhost' : host,
    port: opsPort === 'same' ? port : opsPort,
    path: '/livez',
    timeout: TIMEOUT_MS,
  });
  request.on('response', ({ statusCode }) => (statusCode === 200 ? process.exit(0) : fail(`status ${statusCode}`)));
  request.on('timeout', () => fail(`no answer in ${TIMEOUT_MS} ms`));
  request.on('error', ({ message }) => fail(message));
}
