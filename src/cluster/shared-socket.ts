import net from 'node:net';

/**
 * The socket from which all workers accept, held by the supervisor, which never accepts itself. It outlives every worker:
 * with none left for a moment, clients wait in its queue instead of being refused.
 */
export class SharedSocket {
  /** Which Node 24 has since 24.19. */
  static readonly isPossible = net.BoundSocket !== undefined;
  /** The port that it has, or had: it is bound to the same one again. */
  port: number;
  readonly #host: string;
  #bound: net.BoundSocket | undefined;

  /**
   * @param host an IP address
   * @throws where it cannot be bound, with the system's error code
   */
  constructor(host: string, port: number) {
    this.#host = host;
    this.port = port;
    this.#bind();
  }

  /** The descriptor that each worker is to inherit. @throws where it was closed and cannot be bound again */
  get fd(): number {
    return (this.#bound ?? this.#bind()).fd();
  }

  /** Lets go of it: when no worker has it either, clients are refused. */
  close(): void {
    this.#bound?.close();
    this.#bound = undefined;
  }

  #bind(): net.BoundSocket {
    this.#bound = new net.BoundSocket({ host: this.#host, port: this.port });
    ({ port: this.port } = this.#bound.address());
    return this.#bound;
  }
}
