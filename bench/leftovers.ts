// Whatever ends a bench, an error or Ctrl-C too, nothing of it is left: no process and no temporary file. Whoever imports launched.ts
// has this as well.
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { processTree } from './process-tree.ts';

/** What a bench and its services keep for a while is in here. */
const FOLDER = mkdtempSync(path.join(tmpdir(), 'bench-'));
// PostgreSQL and the workers of nginx are other users.
chmodSync(FOLDER, 0o755);
process.env.TMPDIR = FOLDER;

/** The environment of every service that is compared. */
export const SERVICE_ENVIRONMENT = {
  PATH: process.env.PATH,
  TMPDIR: FOLDER,
  HOST: '127.0.0.1',
  // As where they are deployed: some libraries do more work without it.
  NODE_ENV: 'production',
};

/** A daemon of PM2 is nobody's child, but like all others it has the folder in its environment. */
function strangers(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid && environmentOf(pid).includes(FOLDER));
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    // It has ended, or is another user's.
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

process.on('exit', () => {
  // Parents first: they would replace the others.
  for (const pid of processTree(process.pid).slice(1)) kill(pid);
  for (const pid of strangers()) kill(pid);
  rmSync(FOLDER, { recursive: true, force: true, maxRetries: 5 });
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
}
