import { execFile, spawnSync } from 'node:child_process';
import { expect, onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { EXTRA_ROUTES, ROOT } from './paths.ts';

export const IMAGE = 'mainstay:test';
/** `CONTAINER_ENGINE` names the command; otherwise the first that answers. */
const ENGINE =
  process.env.CONTAINER_ENGINE ??
  ['docker', 'podman'].find((command) => spawnSync(command, ['info'], { stdio: 'ignore' }).status === 0);

/** `CONTAINER_BUILD` is the command that builds, where that takes more than `docker build`. */
const BUILD = (process.env.CONTAINER_BUILD ?? `${ENGINE} build`).split(' ');

type Outcome = { code: number; output: string };

function run(command: string, args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: ROOT, maxBuffer: 64_000_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr });
    });
  });
}

export const engine = (...args: string[]) => run(ENGINE ?? '', args);

/** The image, run as one would in production: nothing is writable, nothing is permitted. It is gone when its test ends. */
export async function startContainer(environment: Record<string, string> = {}, options: readonly string[] = []) {
  const port = await freePort();
  const settings = { PORT: String(port), NODE_OPTIONS: '--import=/extra-routes.mjs', ...environment };
  const { code, output } = await engine(
    'run',
    '--detach',
    '--network=host',
    '--read-only',
    '--tmpfs=/tmp:rw,size=16m',
    '--cap-drop=ALL',
    '--security-opt=no-new-privileges',
    '--memory=256m',
    '--cpus=1',
    `--volume=${EXTRA_ROUTES}:/extra-routes.mjs:ro`,
    ...options,
    ...Object.entries(settings).map(([name, value]) => `--env=${name}=${value}`),
    IMAGE,
  );
  if (code !== 0) throw new Error(output);
  const id = output.trim().split('\n').at(-1) ?? '';
  onTestFinished(async () => void (await engine('rm', '--force', id)));
  const url = `http://127.0.0.1:${port}`;
  return {
    id,
    url,
    logs: async () => (await engine('logs', id)).output,
    inspect: async (format: string) => (await engine('inspect', '--format', format, id)).output.trim(),
    ready: () =>
      expect.poll(async () => (await fetch(`${url}/readyz`)).status, { timeout: 30_000, interval: 100 }).toBe(200),
    ended: () => engine('wait', id),
  };
}

/** Builds the image, from layers that are there where nothing has changed. */
export async function buildImage(): Promise<void> {
  if (ENGINE === undefined) {
    throw new Error('No container engine answers: install Docker or podman, or name one in CONTAINER_ENGINE.');
  }
  const [command = '', ...args] = BUILD;
  const { code, output } = await run(command, [...args, '--tag', IMAGE, '.']);
  if (code !== 0) throw new Error(output);
}
