import net, { type Server, type Socket } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { ownConnectionWaits, setBacklog } from './backlog.ts';
import type { Patience } from './patience.ts';

/** How long the parent may still hand over connections that it accepted before it heard of the closing. */
const HANDOVER_MS = 100;

/** For the connections that are established but not accepted yet. A thousand of them take a tenth of it. */
const ACCEPT_QUEUE_MS = 500;

/** Idle connections that outstayed their time are closed in slices, spread over this window, not in one stampede. */
const CLOSING_WINDOW_MS = 1000;
const SLICE_MS = 10;

/** Closed at a time. More would take longer than what "just now" is to mean. */
const BATCH = 16;
const JUST_NOW_MS = 0.5;

/** A process that never gets to it has to close them all the same. */
const READ_TURNS = 10;

/** In the place of a number of bytes: fewer than have come, so that the connection never counts as idle. */
const CLOSING = -1;

/** Fewer sockets than this are not looked through for those that have closed, until somebody wants to know. */
const FORGET_AT_LEAST = 256;

/** And all of them so often: after a rush nobody else may come for long. */
const FORGET_EVERY_MS = 5000;

/** The open connections of an HTTP server, and of others that end with it. */
export class Connections {
  readonly #server: Server;
  readonly #busy: () => Iterable<Socket>;
  /** Each with the bytes that had come from it when the drain began, or 0 if it is newer. */
  readonly #open = new Map<Socket, number>();
  /** So many, and those that have closed are looked for. */
  #forgetAt = FORGET_AT_LEAST;

  /**
   * @param others servers that go on accepting until the end
   * @param busy the connections on which a request is being answered
   */
  constructor(server: Server, others: readonly Server[], busy: () => Iterable<Socket>) {
    this.#server = server;
    this.#busy = busy;
    for (const each of [server, ...others]) {
      each.on('connection', (socket: Socket) => {
        if (this.#open.size >= this.#forgetAt) this.#forgetClosed();
        this.#open.set(socket, 0);
      });
    }
    const forgetting = setInterval(() => this.#forgetClosed(), FORGET_EVERY_MS).unref();
    server.on('close', () => clearInterval(forgetting));
  }

  get count(): number {
    this.#forgetClosed();
    return this.#open.size;
  }

  /** Looks at one that is open, and at those before it that have closed: for thousands, every few milliseconds, counting is too much. */
  get #areAnyOpen(): boolean {
    for (const socket of this.#open.keys()) {
      if (!socket.closed) return true;
      this.#open.delete(socket);
    }
    return false;
  }

  /**
   * Now and then, instead of by a listener on each socket: with that, answers on connections that are kept cost a quarter more.
   * (Node adds and removes a listener of its own for each answer, and what that leaves behind is not collected young.)
   */
  #forgetClosed(): void {
    for (const socket of this.#open.keys()) if (socket.closed) this.#open.delete(socket);
    this.#forgetAt = Math.max(FORGET_AT_LEAST, 2 * this.#open.size);
  }

  /**
   * Accepts no more. `http.Server#close` would close idle keep-alive connections as well, under the feet of clients that
   * are just sending; `net.Server#close` lets them be.
   *
   * Connections that wait in the socket's queue are reset when its last owner closes it, which `isLastOwner` says this
   * is. Then the queue is emptied first: see docs/decisions/0003-accept-queue.md.
   */
  async stopAccepting(isLastOwner: boolean): Promise<void> {
    if (!this.#server.listening) return;
    if (!isLastOwner) return this.#close();
    await this.#emptyAcceptQueue();
    await this.#closeBehindOwn();
  }

  #close(): void {
    net.Server.prototype.close.call(this.#server);
  }

  /**
   * Waits until every connection is gone. Answers announce the closing, so busy ones go by themselves. Idle ones may
   * bring a last request as long as the patience lasts; then those that brought none are closed.
   *
   * @returns how many idle connections were closed
   */
  async settle(patience: Patience): Promise<number> {
    for (const socket of this.#open.keys()) this.#open.set(socket, socket.bytesRead);
    let closed = 0;
    let closeUntil: number | undefined;
    let lastRequestAt = performance.now();
    this.#server.on('request', () => {
      lastRequestAt = performance.now();
    });
    await sleep(HANDOVER_MS);
    while (this.#areAnyOpen && patience.remainingMs > 0) {
      if (patience.isOverForIdle(performance.now() - lastRequestAt)) {
        closeUntil ??= performance.now() + Math.min(CLOSING_WINDOW_MS, patience.remainingMs / 2);
        // As many as it takes to be done by then: a process that gets little of a core has to close more at a time.
        const slices = Math.max(1, (closeUntil - performance.now()) / SLICE_MS);
        closed += await this.#closeIdle(Math.ceil(this.count / slices));
      }
      await sleep(SLICE_MS);
    }
    return closed;
  }

  /** Cuts what is left. */
  destroy(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  async #emptyAcceptQueue(): Promise<void> {
    // Keeps new ones out.
    setBacklog(this.#server, 0);
    let accepted = 0;
    const count = () => accepted++;
    this.#server.on('connection', count);
    const until = performance.now() + ACCEPT_QUEUE_MS;
    // The loop accepts one connection a turn: a whole turn without any has seen the end of the queue.
    await setImmediate();
    let isTurnShort: boolean;
    do {
      accepted = 0;
      isTurnShort = await shortTurn();
    } while ((accepted > 0 || !isTurnShort) && performance.now() < until);
    this.#server.off('connection', count);
  }

  /**
   * The queue has room for one connection now. Where that is one of our own, nobody else's is in it, and nobody else's is
   * reset.
   */
  async #closeBehindOwn(): Promise<void> {
    for (const until = performance.now() + ACCEPT_QUEUE_MS; performance.now() < until; await setImmediate()) {
      if (await ownConnectionWaits(this.#server)) break;
    }
    this.#close();
  }

  async #closeIdle(most: number): Promise<number> {
    let closed = 0;
    let batch: number;
    do {
      await socketsRead();
      batch = this.#closeBatch(Math.min(BATCH, most - closed));
      closed += batch;
    } while (batch === BATCH);
    return closed;
  }

  #closeBatch(most: number): number {
    const busy = new Set(this.#busy());
    let closed = 0;
    for (const [socket, bytes] of this.#open) {
      if (closed === most) break;
      // More bytes than before and yet no request: one is just arriving.
      if (socket.destroyed || busy.has(socket) || socket.bytesRead > bytes) continue;
      socket.destroySoon();
      // Until it is gone, no later batch is to take it for an idle one again.
      this.#open.set(socket, CLOSING);
      closed++;
    }
    return closed;
  }
}

/** Waits until all sockets have been read just now: hardly anything can have arrived unseen. */
async function socketsRead(): Promise<void> {
  await setImmediate();
  for (let turn = 0; turn < READ_TURNS; turn++) if (await shortTurn()) return;
}

/**
 * Between two immediates the loop reads what there is. A turn takes long when there is much, or when another process has the
 * core; then more may have arrived meanwhile.
 */
async function shortTurn(): Promise<boolean> {
  const startedAt = performance.now();
  await setImmediate();
  return performance.now() - startedAt < JUST_NOW_MS;
}
