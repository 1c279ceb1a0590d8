import type { DestinationStream } from 'pino';

/** More than this is not kept back. */
const MOST_CHARACTERS = 32_768;

/**
 * Writes what comes in a turn of the event loop at the end of it, at once: a write for each line would take as long as making the
 * line. A death without an `exit` event takes the lines of the turn with it: SIGKILL, a crash of native code, a heap that is full.
 */
export class LinesOfTurn implements DestinationStream {
  readonly #destination: DestinationStream;
  #lines = '';

  readonly #flush = () => {
    if (this.#lines === '') return;
    const lines = this.#lines;
    this.#lines = '';
    this.#destination.write(lines);
  };

  constructor(destination: DestinationStream) {
    this.#destination = destination;
    process.on('exit', this.#flush);
  }

  write(line: string): void {
    if (this.#lines === '') setImmediate(this.#flush);
    this.#lines += line;
    if (this.#lines.length > MOST_CHARACTERS) this.#flush();
  }
}
