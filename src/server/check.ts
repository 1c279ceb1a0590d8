import type { Config } from '../config/settings.ts';

/**
 * Goes through a whole start and close on free ports, beside whatever runs already: what would keep the service from
 * starting, other than a taken port, is found before anything is touched.
 */
export async function check(config: Config): Promise<void> {
  const timeout = setTimeout(() => {
    console.error(`The service did not start within START_TIMEOUT_MS (${config.startTimeoutMs} ms).`);
    process.exit(1);
  }, config.startTimeoutMs);
  // Where nothing is left to happen, that is the better thing to say.
  timeout.unref();
  // Loading it may be what never ends.
  const { buildApp } = await import('../app/app.ts');
  const { listen } = await import('./listen.ts');
  const app = buildApp({ ...config, logLevel: 'silent' });
  await listen(app, { host: config.host, port: 0, opsPort: 0 });
  await app.close();
  clearTimeout(timeout);
  console.log(
    `The configuration is valid, and the service starts. Not tried: ${portsOf(config)}, which a running service may hold.`,
  );
  // Whatever a plugin left running is not to keep a check from ending.
  process.exit(0);
}

function portsOf({ port, opsPort }: Config): string {
  return opsPort === 'same' ? `PORT (${port})` : `PORT (${port}) and OPS_PORT (${opsPort})`;
}
