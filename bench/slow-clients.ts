// Clients that send a byte a second, thousands in one process, started by bench/connections.ts. Whoever is cut begins again.
import { connect, type Socket } from 'node:net';

export type SlowClientsOptions = {
  readonly port: number;
  readonly connections: number;
  /** What they begin with. */
  readonly beginning: string;
};

/** What has come about since it was last told. */
export type SlowClientsTally = {
  /** How long each connection that was cut had lasted. */
  readonly lastedMs: number[];
  /** Of these, how many were told so: 408. */
  readonly told: number;
};

const BYTE_EVERY_MS = 1000;

const options: SlowClientsOptions = JSON.parse(process.argv[2] ?? '');
let lastedMs: number[] = [];
let told = 0;

class SlowClient {
  #socket: Socket | undefined;

  sendByte(): void {
    if (this.#socket === undefined) this.#connect();
    else if (this.#socket.writable) this.#socket.write('a');
  }

  #connect(): void {
    const startedAt = performance.now();
    let received = '';
    const socket = connect(options.port, '127.0.0.1');
    this.#socket = socket;
    socket.write(options.beginning);
    socket.setEncoding('latin1').on('data', (text: string) => {
      received += text;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#socket = undefined;
      lastedMs.push(performance.now() - startedAt);
      if (received.startsWith('HTTP/1.1 408 ')) told++;
    });
  }
}

/** Who sends in which millisecond of the second. */
const due = Array.from({ length: BYTE_EVERY_MS }, (): SlowClient[] => []);
for (let index = 0; index < options.connections; index++) due[index % due.length]?.push(new SlowClient());

const startedAt = performance.now();
let next = 0;
setInterval(() => {
  for (const now = performance.now() - startedAt; next <= now; next++) {
    for (const client of due[next % due.length] ?? []) client.sendByte();
  }
}, 1);

// Nobody is left to ask what has come about.
process.on('disconnect', () => process.exit());

process.on('message', () => {
  const tally: SlowClientsTally = { lastedMs, told };
  process.send?.(tally);
  lastedMs = [];
  told = 0;
});
