// PM2's view of the service: `npx pm2 start ecosystem.config.js`. Settings come from the environment, as everywhere.
import { createRequire } from 'node:module';
import { isNodeNewEnough } from './src/entry.js';

isNodeNewEnough();

// PM2 loads this file with require(), which takes neither a top-level await nor `export default`.
const require = createRequire(import.meta.url);
const { readConfig } = require('./src/config/read-config.ts');
const { killTimeoutMs, listenTimeoutMs } = require('./src/config/timing.ts');
const { workerCount } = require('./src/config/worker-count.ts');

const config = readConfig(process.env);
const { maxWorkerRssMb } = config;

export const apps = [
  {
    name: 'mainstay',
    script: './src/server/main.js',
    exec_mode: 'cluster',
    // Not "max": that counts the machine's cores, not those that this process may use.
    instances: workerCount(config),
    // An instance is online when it says that it serves, and a reload stops the old one only then.
    wait_ready: true,
    listen_timeout: listenTimeoutMs(config),
    kill_timeout: killTimeoutMs(config),
    // PM2 looks every 30 s and, whatever the name says, reloads in cluster mode: the successor is ready before the old one drains.
    ...(maxWorkerRssMb > 0 && { max_memory_restart: maxWorkerRssMb * 1024 * 1024 }),
    // A wrong configuration does not get better by trying again.
    stop_exit_codes: [78],
    exp_backoff_restart_delay: 250,
    merge_logs: true,
    // Without PM2's own metrics inside the process: they end it at once when PM2 dies, whatever is in flight. CPU and memory
    // in "pm2 monit" come from outside; /metrics has the rest.
    pmx: false,
    // The log goes to PM2's files as it is: one JSON object a line.
    time: false,
    // Types are stripped in place, so that line numbers are true without source maps.
    disable_source_map_support: true,
  },
];

/**
 * `npx pm2 deploy production setup` once, then `npx pm2 deploy production` for each release. The host needs git, Node.js
 * with npm, and a key that may read the repository.
 */
export const deploy = {
  production: {
    host: process.env.DEPLOY_HOST ?? 'app.example.com',
    user: process.env.DEPLOY_USER ?? 'deploy',
    repo: process.env.DEPLOY_REPO ?? 'git@github.com:you/your-fork.git',
    ref: 'origin/main',
    path: '/srv/mainstay',
    // Checked before any process is replaced: a release that cannot start leaves the old one running.
    'post-deploy':
      'sh deploy/install.sh && npm start -- --check && npx pm2 startOrReload ecosystem.config.js && npx pm2 save',
  },
};
