// How many clients send on an idle connection in the very moment in which a draining process closes it:
// `npm run bench:idle`. They ask every 0 to 20 s, so that most are idle when the drain is over.
import { BusyClients } from '../test/support/clients.ts';
import { EXTRA_ROUTES } from '../test/support/paths.ts';
import { Launched } from './launched.ts';

const ROUNDS = 10;
const CLIENTS = 1000;
const PAUSE_MS = 20_000;

let asked = 0;
let raced = 0;
for (let round = 0; round < ROUNDS; round++) {
  const service = await Launched.start(['src/server/main.js'], { NODE_OPTIONS: `--import=${EXTRA_ROUTES}` });
  const clients = new BusyClients({ url: service.url, clients: CLIENTS, kind: 'thinking', pauseMs: PAUSE_MS });
  await clients.asked(CLIENTS / 2);
  await service.stop();
  await clients.stop();
  asked += clients.answered;
  raced += clients.lost.reset;
}
console.log(
  `${ROUNDS} drains under ${CLIENTS} clients that ask every ${PAUSE_MS / 2000} s: ${raced} resets, ${asked} answered.`,
);
