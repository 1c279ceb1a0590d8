import type { ToThread } from './messages.ts';

/** What is said in one turn goes in one message: most of what a message costs, it costs once. */
export class Outbox {
  readonly #send: (messages: ToThread[], transferred: ArrayBuffer[]) => void;
  #messages: ToThread[] = [];
  #transferred: ArrayBuffer[] = [];

  constructor(send: (messages: ToThread[], transferred: ArrayBuffer[]) => void) {
    this.#send = send;
  }

  /** @param transferred is not to be used here any more */
  add(message: ToThread, transferred?: ArrayBuffer): void {
    this.#messages.push(message);
    if (transferred !== undefined) this.#transferred.push(transferred);
    if (this.#messages.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#send(this.#messages, this.#transferred);
    this.#messages = [];
    this.#transferred = [];
  }
}
