import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isPostgresInstalled, Postgres } from '../test/app/features/events/postgres.ts';
import { Launched } from './launched.ts';
import { type AppendSync, Redis, redisVersion } from './redis.ts';
import { wholeNumber } from './settings.ts';

/** A service that takes events at `POST /events`, and keeps them somewhere. */
export type Contender = {
  readonly service: string;
  /** Whether what it acknowledged is there after a power cut. */
  readonly survivesPowerCut: boolean;
  /** @param ends is given what ends it and all that it needs */
  readonly start: (ends: AsyncDisposableStack) => Promise<EventService>;
};

export type EventService = {
  readonly url: string;
  readonly pid: number;
  /** Of the server in which the events are kept, where that is not the service itself. */
  readonly serverPid?: number;
};

const ENVIRONMENT = {
  WORKERS: String(wholeNumber('WORKERS', availableParallelism(), { most: 1024 })),
  NODE_OPTIONS: `--import=${fileURLToPath(new URL('loop-delay.js', import.meta.url))}`,
};

const OURS = 'src/cluster/main.js';

/**
 * Those for which all is installed; of the others it says what is missing. Each starts with nothing in its store.
 *
 * @param ends is given what ends the server that some of them share
 */
export async function startContenders(ends: AsyncDisposableStack): Promise<Contender[]> {
  const contenders: Contender[] = [{ service: 'Mainstay, SQLite', survivesPowerCut: true, start: onSqlite }];
  if (isPostgresInstalled) {
    const postgres = await Postgres.start();
    ends.defer(() => postgres.end());
    const [row] = (await postgres.query('SHOW server_version')) as { server_version: string }[];
    const server = `PostgreSQL ${Number.parseFloat(row?.server_version ?? '')}`;
    contenders.push(
      { service: `Mainstay, ${server}`, survivesPowerCut: true, start: onPostgres(postgres, OURS) },
      {
        service: `an insert per request, ${server}`,
        survivesPowerCut: true,
        start: onPostgres(postgres, 'bench/peers/insert-per-request.js'),
      },
    );
  } else {
    console.error('Left out, for there is no PostgreSQL: install it, on Debian with "apt-get install postgresql".');
  }
  if (redisVersion !== undefined) {
    const service = `Redis ${redisVersion} stream, appendfsync`;
    contenders.push(
      { service: `${service} always`, survivesPowerCut: true, start: onRedis('always') },
      { service: `${service} everysec`, survivesPowerCut: false, start: onRedis('everysec') },
    );
  } else {
    console.error('Left out, for there is no Redis: install it, on Debian with "apt-get install redis-server".');
  }
  return contenders;
}

async function onSqlite(ends: AsyncDisposableStack): Promise<EventService> {
  const folder = mkdtempSync(path.join(tmpdir(), 'events-'));
  ends.defer(() => rmSync(folder, { recursive: true }));
  return launch(OURS, { DATABASE_URL: `file:${folder}/events.db` }, ends);
}

function onPostgres(postgres: Postgres, program: string): Contender['start'] {
  return async (ends) => {
    const url = await postgres.newUrl();
    ends.defer(async () => {
      const [schema] = /schema_\d+/.exec(url) ?? [];
      await postgres.query(`DROP SCHEMA ${schema} CASCADE`);
      // What one has left to be written is not to be written while the next one is measured.
      await postgres.query('CHECKPOINT');
    });
    const service = await launch(program, { DATABASE_URL: url }, ends);
    return { url: service.url, pid: service.pid, serverPid: postgres.pid };
  };
}

function onRedis(appendSync: AppendSync): Contender['start'] {
  return async (ends) => {
    const redis = await Redis.start(appendSync);
    ends.defer(() => redis.stop());
    const service = await launch('bench/peers/redis-stream.js', { REDIS_URL: redis.url }, ends);
    return { url: service.url, pid: service.pid, serverPid: redis.pid };
  };
}

async function launch(program: string, environment: NodeJS.ProcessEnv, ends: AsyncDisposableStack): Promise<Launched> {
  const service = await Launched.start([program], { ...ENVIRONMENT, ...environment });
  ends.defer(() => service.stop());
  return service;
}
