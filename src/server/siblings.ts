import { once } from 'node:events';
import { statSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { SIBLINGS_MAX } from './descriptors.ts';
import { isRunning, pidOf, type SiblingsFolder, unlink } from './siblings-folder.ts';

/** A sibling that is so late is busy, or dying: it is not to keep the answer waiting. */
const PATIENCE_MS = 500;

/** It is counted in steps, and an interval makes up for none that it missed: while this process stands still itself, it is one step. */
const PATIENCE_STEPS = 5;

/** Several ask side by side. One that has waited in vain so often asks no further, so that all of it is over in time for a scrape. */
const LATE_MAX = 4;

/** Whoever asks may stand still between its connection and its question; for longer, the supervisor kills it. */
const ASKER_PATIENCE_MS = 10_000;

const QUESTION_MAX_CHARACTERS = 64;

/** A process that has made its socket listens on it long before that. */
const STARTED_AFTER_MS = 10_000;

/** In the names of the sockets. */
const SOCKET = '.sock';

/** Ends an answer. One without it was cut short. */
const END = '\0';

/** By question. */
export type Answers = Readonly<Record<string, () => Promise<string>>>;

export type Asked = {
  readonly answers: readonly string[];
  /** So many are there and did not answer. */
  readonly missing: number;
};

/** Each process of the service answers questions of the others, on a Unix socket in their folder. */
export class Siblings {
  readonly #folder: SiblingsFolder;
  readonly #answers: Answers;
  readonly #server: Server;

  /** @throws {Error} where there is no place for the socket */
  static async join(folder: SiblingsFolder, answers: Answers): Promise<Siblings> {
    const siblings = new Siblings(folder, answers);
    await siblings.#listen();
    return siblings;
  }

  private constructor(folder: SiblingsFolder, answers: Answers) {
    this.#folder = folder;
    this.#answers = answers;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#answer(socket));
    this.#server.maxConnections = SIBLINGS_MAX;
    this.#server.unref();
  }

  /** Asks all others, as many at a time as there are descriptors for. It takes a little more than two seconds at most. */
  async ask(question: string): Promise<Asked> {
    const others = this.#folder
      .list(SOCKET)
      .map(pidOf)
      .filter((pid) => pid !== process.pid);
    const answers: string[] = [];
    let missing = 0;
    const askSome = async () => {
      for (let late = 0; late < LATE_MAX; ) {
        const pid = others.pop();
        if (pid === undefined) return;
        const answer = await this.#askOne(pid, question);
        if (answer === 'missing') {
          late++;
          missing++;
        } else if (answer !== 'gone') answers.push(answer.text);
      }
    };
    await Promise.all(Array.from({ length: SIBLINGS_MAX }, askSome));
    return { answers, missing: missing + others.length };
  }

  async #listen(): Promise<void> {
    const own = this.#socketOf(process.pid);
    // Of a process that had the same pid.
    unlink(own);
    this.#folder.make();
    // A worker of node:cluster would be given one of its parent's, which would pass each question on.
    this.#server.listen({ path: own, exclusive: true });
    await once(this.#server, 'listening');
    process.on('exit', () => unlink(own));
  }

  #socketOf(pid: number): string {
    return this.#folder.file(`${pid}${SOCKET}`);
  }

  #answer(socket: Socket): void {
    let question = '';
    socket.setEncoding('utf8').setTimeout(ASKER_PATIENCE_MS, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('data', (text: string) => {
      question += text;
      if (question.length > QUESTION_MAX_CHARACTERS) socket.destroy();
    });
    socket.on('end', async () => {
      try {
        const answer = Object.hasOwn(this.#answers, question) ? this.#answers[question]?.() : undefined;
        socket.end(((await answer) ?? '') + END);
      } catch {
        socket.destroy();
      }
    });
  }

  /** @returns `gone` for one that has left, and has taken its socket along */
  #askOne(pid: number, question: string): Promise<{ text: string } | 'missing' | 'gone'> {
    return new Promise((resolve) => {
      let text = '';
      const socket = connect(this.#socketOf(pid));
      let steps = 0;
      const timer = setInterval(() => {
        if (++steps === PATIENCE_STEPS) socket.destroy();
      }, PATIENCE_MS / PATIENCE_STEPS);
      socket.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
      let isGone = false;
      socket.on('error', ({ code }: NodeJS.ErrnoException) => {
        isGone = code === 'ENOENT';
        // Left behind by a kill. One that is only just starting refuses as well, and needs its socket.
        if (code === 'ECONNREFUSED' && (!isRunning(pid) || isOld(this.#socketOf(pid)))) unlink(this.#socketOf(pid));
      });
      socket.on('close', () => {
        clearInterval(timer);
        if (text.endsWith(END)) resolve({ text: text.slice(0, -END.length) });
        else resolve(isGone ? 'gone' : 'missing');
      });
      socket.end(question);
    });
  }
}

/** The pid may be that of another process now. */
function isOld(socket: string): boolean {
  const { mtimeMs = Date.now() } = statSync(socket, { throwIfNoEntry: false }) ?? {};
  return Date.now() - mtimeMs > STARTED_AFTER_MS;
}
