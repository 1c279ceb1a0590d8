// Clients that each keep a connection and ask again and again, after the same time: thousands in one process, on raw sockets, started by
// bench/connections.ts. They ask when it is due, and from then it counts how long an answer takes.
import { connect, type Socket } from 'node:net';

export type KeptClientsOptions = {
  readonly port: number;
  /** Addresses of the service. For each there can be as many connections as there are ports on this side. */
  readonly hosts: readonly string[];
  readonly connections: number;
  /** Each asks so often, from a random moment on. */
  readonly periodMs: number;
  /** Not all begin in the first period. */
  readonly periodsToBegin: number;
};

/** What has come about since it was last told. */
export type KeptClientsTally = {
  /** From the moment in which it was due to be asked, to the end of the answer. */
  readonly latenciesMs: number[];
  readonly opened: number;
  /** How often which failure. */
  readonly failures: Record<string, number>;
  /** How late this process was, at worst, with what was due. */
  readonly lagMs: number;
};

const REQUEST = 'GET /hello/John HTTP/1.1\r\nHost: localhost\r\n\r\n';
const ANSWER = '\r\n\r\nHello John!!!';

const options: KeptClientsOptions = JSON.parse(process.argv[2] ?? '');
let latenciesMs: number[] = [];
let opened = 0;
let failures: Record<string, number> = {};
let lagMs = 0;

/** One for all sockets: what was read is taken out before the next one reads. */
const buffer = Buffer.alloc(64 * 1024);

class KeptClient {
  readonly #host: string;
  #socket: Socket | undefined;
  #isConnected = false;
  /** When the request that is not answered yet was due. */
  #dueAt: number | undefined;
  #received = '';

  constructor(host: string) {
    this.#host = host;
  }

  ask(dueAt: number): void {
    if (this.#dueAt !== undefined) this.#fail('no answer in time');
    this.#dueAt = dueAt;
    if (this.#socket === undefined) this.#connect();
    else if (this.#isConnected) this.#socket.write(REQUEST);
  }

  #connect(): void {
    opened++;
    const socket = connect({
      host: this.#host,
      port: options.port,
      onread: {
        buffer,
        callback: (length) => {
          this.#read(buffer.toString('latin1', 0, length));
          return true;
        },
      },
    });
    this.#socket = socket;
    socket.on('connect', () => {
      this.#isConnected = true;
      if (this.#dueAt !== undefined) socket.write(REQUEST);
    });
    socket.on('error', ({ message }) => this.#onLost(socket, message));
    socket.on('end', () => this.#onLost(socket, 'ended without an answer'));
  }

  #read(text: string): void {
    this.#received += text;
    const [head, length] = /^content-length: (\d+)\r\n(?:.+\r\n)*\r\n/im.exec(this.#received) ?? [];
    const bodyAt = this.#received.indexOf('\r\n\r\n') + 4;
    if (head === undefined || this.#received.length < bodyAt + Number(length)) return;
    const answer = this.#received;
    this.#received = '';
    if (this.#dueAt === undefined || !answer.startsWith('HTTP/1.1 200 ') || !answer.endsWith(ANSWER)) {
      this.#fail(`another answer: ${answer.slice(9, 12)}`);
      return;
    }
    latenciesMs.push(performance.now() - this.#dueAt);
    this.#dueAt = undefined;
    if (!/^connection: close\r$/im.test(answer)) return;
    this.#disconnect();
    this.#connect();
  }

  #onLost(socket: Socket, why: string): void {
    // Closed while nothing was asked is no failure.
    if (this.#socket !== socket) return;
    if (this.#dueAt === undefined) this.#disconnect();
    else this.#fail(why);
  }

  #fail(how: string): void {
    failures[how] = (failures[how] ?? 0) + 1;
    this.#dueAt = undefined;
    this.#disconnect();
  }

  #disconnect(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#isConnected = false;
    this.#received = '';
  }
}

/** Who asks in which millisecond of the period. */
const due = Array.from({ length: options.periodMs }, (): { client: KeptClient; firstPeriod: number }[] => []);
for (let index = 0; index < options.connections; index++) {
  const client = new KeptClient(options.hosts[index % options.hosts.length] ?? '');
  due[Math.floor(Math.random() * due.length)]?.push({ client, firstPeriod: index % options.periodsToBegin });
}

const startedAt = performance.now();
let next = 0;
setInterval(() => {
  const now = performance.now() - startedAt;
  lagMs = Math.max(lagMs, now - next);
  for (; next <= now; next++) {
    const period = Math.floor(next / due.length);
    for (const { client, firstPeriod } of due[next % due.length] ?? []) {
      if (period >= firstPeriod) client.ask(startedAt + next);
    }
  }
}, 1);

// Nobody is left to ask what has come about.
process.on('disconnect', () => process.exit());

process.on('message', () => {
  const tally: KeptClientsTally = { latenciesMs, opened, failures, lagMs };
  process.send?.(tally);
  latenciesMs = [];
  opened = 0;
  failures = {};
  lagMs = 0;
});
