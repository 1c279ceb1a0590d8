/**
 * Thrown where there is more to do than is bounded, or where what it takes is away for a moment: answered with a 503 that
 * tells the client when to try again. It is no failure of ours.
 */
export class Busy extends Error {
  readonly code: string;
  readonly statusCode = 503;
  readonly retryAfterSeconds: number;

  /** @param code for programs, in the problem that is answered */
  constructor(code: string, message: string, retryAfterSeconds: number) {
    super(message);
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
