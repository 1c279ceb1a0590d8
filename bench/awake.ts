/**
 * Keeps this process from sleeping until it is disposed of. A client that sleeps has to be woken by each answer, and the service
 * pays for that: in a virtual machine up to half of the price of a cheap answer, and a slower service pays more.
 */
export function awake(): Disposable {
  let isOver = false;
  const turn = () => {
    if (!isOver) setImmediate(turn);
  };
  turn();
  return {
    [Symbol.dispose]: () => {
      isOver = true;
    },
  };
}
