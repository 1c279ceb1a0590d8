import type { Mistake } from './problem.ts';

/** Thrown where a request cannot be done as it is: answered with its status, and with what is wrong where that is known. */
export class Refusal extends Error {
  readonly statusCode: number;
  readonly code: string;
  readonly mistakes: readonly Mistake[] | undefined;

  /** @param code for programs; `message` is for people, and is made of the mistakes where there are some */
  constructor(statusCode: number, code: string, message: string, mistakes?: readonly Mistake[]) {
    super(message);
    this.statusCode = statusCode;
    this.code = code;
    this.mistakes = mistakes;
  }
}
