/** A call within this time after the first is the same signal arriving twice: from the terminal, and passed on by npm. */
const ECHO_MS = 500;

/** Tells the first call, which is obeyed, from a second one, which is insisted on, and from the echo of the first. */
export function firstAndSecond<Arguments extends unknown[]>(
  first: (...args: Arguments) => void,
  second: (...args: Arguments) => void,
): (...args: Arguments) => void {
  let firstAt: number | undefined;
  return (...args) => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      first(...args);
    } else if (performance.now() - firstAt > ECHO_MS) {
      second(...args);
    }
  };
}
