// How many clients send on an idle connection in the very moment in which a draining process closes it:
// `npm run bench:idle`, three minutes. They ask every 0 to 20 s, so that about half of the connections bring nothing more, and do
// not heed how long the service says that it keeps idle connections: who does is never so late.
import { BusyClients } from '../test/support/clients.ts';
import { EXTRA_ROUTES } from '../test/support/paths.ts';
import { Launched } from './launched.ts';

const ROUNDS = 6;
const CLIENTS = 1000;
const PAUSE_MS = 20_000;

let allClosed = 0;
let allRaced = 0;
for (let round = 1; round <= ROUNDS; round++) {
  const environment = { NODE_OPTIONS: `--import=${EXTRA_ROUTES}` };
  await using service = await Launched.start(['src/server/main.js'], environment, { keepsOutput: true });
  const clients = new BusyClients({
    url: service.url,
    clients: CLIENTS,
    kind: 'thinking',
    pauseMs: PAUSE_MS,
    heedsKeepAlive: false,
  });
  await clients.asked(CLIENTS);
  await service.stop();
  await clients.stop();
  const [, idleClosed] = /"idleClosed":(\d+)/.exec(service.output) ?? [];
  if (idleClosed === undefined) throw new Error(`the log does not say how many it closed: ${service.output}`);
  const closed = Number(idleClosed);
  const raced = clients.failures.filter((failure) => /^reset: .* on a kept connection/.test(failure)).length;
  allClosed += closed;
  allRaced += raced;
  console.log(`drain ${round}: ${closed} idle connections closed, ${raced} of them under a request`);
}
console.log(`${allClosed} idle connections closed, ${allRaced} of them under a request`);
