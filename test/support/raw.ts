import { connect, type Socket } from 'node:net';

/** A TCP connection on which a test says exactly what it likes. */
export class RawConnection {
  received = '';
  readonly socket: Socket;
  readonly #closed = Promise.withResolvers<void>();
  #isClosed = false;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    this.socket.setEncoding('utf8').on('data', (text: string) => {
      this.received += text;
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.#isClosed = true;
      this.#closed.resolve();
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(text: string | Buffer): this {
    this.socket.write(text);
    return this;
  }

  /** Waits until what was received contains this. */
  async until(text: string): Promise<string> {
    while (!this.received.includes(text)) {
      if (this.#isClosed) throw new Error(`closed before ${JSON.stringify(text)}: ${JSON.stringify(this.received)}`);
      await Promise.race([this.#data(), this.#closed.promise]);
    }
    return this.received;
  }

  /** Waits until the server closed the connection, or reset it. @returns all that was received */
  async closed(): Promise<string> {
    await this.#closed.promise;
    return this.received;
  }

  // Not events.once, which fails when there is an error first: a reset is one, and is for the tests to judge.
  #data(): Promise<void> {
    return new Promise((resolve) => this.socket.once('data', () => resolve()));
  }
}
