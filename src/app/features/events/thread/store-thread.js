// The one thread of a process that has the store. JavaScript, for nothing then has to be stripped in each new thread.
import { parentPort, workerData } from 'node:worker_threads';
import { GroupCommit, unavailable } from './group-commit.js';
import { Incoming } from './incoming.js';
import { KeptOpen, reasonOf } from './kept-open.js';
import { openStore } from './open-store.js';
import { renderEvents, renderTotals } from './render.js';

/**
 * @import { FromThread, ThreadData, ToThread } from '../messages.ts'
 */

const { url, readersMax, mustOpen, readBytes } = /** @type {ThreadData} */ (workerData);
const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);

const store = new KeptOpen((isFirst, doubt) => openStore(url, { mayCreate: isFirst, readersMax, doubt }), tell);
const commits = new GroupCommit(store, tell);

/** Requests whose body is arriving. @type {Map<number, Incoming>} */
const incoming = new Map();

port.on('message', (/** @type {ToThread[]} */ messages) => {
  for (const message of messages) handle(message);
});

if (mustOpen) {
  try {
    await store.open(true);
  } catch (error) {
    tell({ kind: 'down', reason: reasonOf(error) });
    port.close();
  }
} else {
  store.reopen();
}

/** @param {ToThread} message */
function handle(message) {
  switch (message.kind) {
    case 'begin':
      incoming.set(message.request, new Incoming(message));
      break;
    case 'bytes': {
      const refusal = incoming.get(message.request)?.push(message.bytes);
      Atomics.add(readBytes, 0, message.bytes.length);
      if (refusal) refuse(message.request, refusal);
      break;
    }
    case 'end': {
      const reading = incoming.get(message.request);
      if (reading === undefined) break;
      incoming.delete(message.request);
      const result = reading.end();
      if ('refusal' in result) refuse(message.request, result.refusal);
      else commits.add(message.request, reading.events, result.submission);
      break;
    }
    case 'abort':
      incoming.delete(message.request);
      break;
    case 'page':
      answerReading(message.request, async () => {
        const { events, hasMore } = await store.read((opened) => opened.page(message.query));
        return { json: renderEvents(events), next: hasMore ? String(events.at(-1)?.seq) : undefined };
      });
      break;
    case 'summary':
      answerReading(message.request, async () => {
        const { totals, next } = await store.read((opened) => opened.summary(message.query));
        return { json: renderTotals(totals), next };
      });
      break;
    case 'close':
      close();
  }
}

/**
 * The rest of its body is ignored.
 *
 * @param {number} request
 * @param {import('../messages.ts').RefusalMessage} refusal
 */
function refuse(request, refusal) {
  incoming.delete(request);
  tell({ kind: 'answers', answers: [{ request, refusal }] });
}

/**
 * @param {number} request
 * @param {() => Promise<{ json: Uint8Array<ArrayBuffer>, next: string | undefined }>} read
 */
async function answerReading(request, read) {
  try {
    const result = await read();
    tell({ kind: 'answers', answers: [{ request, ...result }] }, [result.json.buffer]);
  } catch (error) {
    tell({ kind: 'answers', answers: [{ request, refusal: unavailable(error) }] });
  }
}

/** Everything complete is committed first; what is not has no client any more. */
async function close() {
  await commits.drained();
  await store.close();
  // Connections that are being opened or given up would keep the thread.
  process.exit();
}

/**
 * @param {FromThread} message
 * @param {ArrayBuffer[]} transferred
 */
function tell(message, transferred = []) {
  port.postMessage(message, transferred);
}
