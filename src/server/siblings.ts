import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readdirSync, readlinkSync, rmdirSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** A sibling that is so late is busy, or dying: it is not to keep the answer waiting. */
const PATIENCE_MS = 500;

const QUESTION_MAX_CHARACTERS = 64;
const CONNECTIONS_MAX = 64;

/** Ends an answer. One without it was cut short. */
const END = '\0';

/** By question. */
export type Answers = Readonly<Record<string, () => Promise<string>>>;

export type Asked = {
  readonly answers: readonly string[];
  /** So many are there and did not answer. */
  readonly missing: number;
};

/**
 * The processes that serve together: the workers of one supervisor, or PM2's instances of one service. Each answers questions of
 * the others on a Unix socket named after its pid, in a folder that is only theirs, and open to their user alone.
 */
export class Siblings {
  readonly #folder: string;
  readonly #answers: Answers;
  readonly #server: Server;

  /**
   * @param parentPid of the process that has started all of them
   * @param service tells apart those that have the same parent
   * @throws {Error} where there is no place for the socket
   */
  static async join(parentPid: number, service: string, answers: Answers): Promise<Siblings> {
    const siblings = new Siblings(privateFolder(parentPid, service), answers);
    await siblings.#listen();
    return siblings;
  }

  private constructor(folder: string, answers: Answers) {
    this.#folder = folder;
    this.#answers = answers;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#answer(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.unref();
  }

  /** Asks all others at once. */
  async ask(question: string): Promise<Asked> {
    const others = pidsIn(this.#folder).filter((pid) => pid !== process.pid);
    const asked = await Promise.all(others.map((pid) => this.#askOne(pid, question)));
    return {
      answers: asked.filter((answer) => answer !== 'missing' && answer !== 'gone').map(({ text }) => text),
      missing: asked.filter((answer) => answer === 'missing').length,
    };
  }

  async #listen(): Promise<void> {
    const own = this.#socketOf(process.pid);
    // Of a process that had the same pid.
    unlink(own);
    this.#server.listen(own);
    await once(this.#server, 'listening');
    process.on('exit', () => {
      unlink(own);
      try {
        // The last one.
        rmdirSync(this.#folder);
      } catch {
        // Not the last one.
      }
    });
  }

  #socketOf(pid: number): string {
    return path.join(this.#folder, String(pid));
  }

  #answer(socket: Socket): void {
    let question = '';
    socket.setEncoding('utf8').setTimeout(PATIENCE_MS, () => socket.destroy());
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
      const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
      socket.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
      let isGone = false;
      socket.on('error', ({ code }: NodeJS.ErrnoException) => {
        isGone = code === 'ENOENT';
        // Left behind by a kill. One that is only just starting refuses as well, and needs its socket.
        if (code === 'ECONNREFUSED' && !isRunning(pid)) unlink(this.#socketOf(pid));
      });
      socket.on('close', () => {
        clearTimeout(timer);
        if (text.endsWith(END)) resolve({ text: text.slice(0, -END.length) });
        else resolve(isGone ? 'gone' : 'missing');
      });
      socket.end(question);
    });
  }
}

/** Made where it is not there; those of services that are gone are removed. */
function privateFolder(parentPid: number, service: string): string {
  const user = process.getuid?.() ?? 0;
  const base = path.join(tmpdir(), `mainstay-${user}`);
  makeFolder(base);
  const { uid, mode } = lstatSync(base);
  if (uid !== user || (mode & 0o077) !== 0) throw new Error(`${base} is not, or not only, this user's: remove it`);
  const folder = path.join(base, `${parentPid}-${hash(service)}`);
  makeFolder(folder);
  for (const other of readdirSync(base)) {
    if (isRunning(Number.parseInt(other, 10))) continue;
    const left = path.join(base, other);
    for (const pid of pidsIn(left)) if (!isRunning(pid)) unlink(path.join(left, String(pid)));
    try {
      rmdirSync(left);
    } catch {
      // Workers that lost their parent still drain, or another process has removed it.
    }
  }
  return folder;
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Containers may share the folder for temporary files, and their processes have the same pids. */
function hash(service: string): string {
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Only Linux has them.
  }
  const code = fileURLToPath(new URL('../..', import.meta.url));
  return createHash('sha256').update(`${namespace} ${code} ${service}`).digest('hex').slice(0, 16);
}

function pidsIn(folder: string): number[] {
  try {
    return readdirSync(folder).map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function unlink(file: string): void {
  try {
    unlinkSync(file);
  } catch {
    // It is not there, which is what is wanted.
  }
}
