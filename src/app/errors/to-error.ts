/** People throw all sorts of things. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`something that is no error was thrown: ${String(thrown)}`);
}
