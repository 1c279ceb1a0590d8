// What threads of a pool may come to.

/** @param {{ ms?: number, dies?: boolean, exhausts?: boolean, throws?: boolean }} task */
export default function work({ ms = 0, dies, exhausts, throws }) {
  const startedAt = performance.now();
  if (dies) process.exit(3);
  if (throws) throw new Error('this cannot be done');
  if (exhausts) for (const kept = []; ; ) kept.push(new Array(100_000).fill(kept.length));
  while (performance.now() - startedAt < ms);
  return { elapsedMs: performance.now() - startedAt };
}
