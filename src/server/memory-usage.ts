/**
 * From here on `process.memoryUsage` tells what it told before where it cannot read: it opens a file, and there may be no
 * descriptor left. It would throw, @fastify/under-pressure calls it in a timer, and a process that was only short of descriptors
 * would end.
 */
export function keepMemoryReadable(): void {
  const read = process.memoryUsage;
  let last = read();
  const usage = () => {
    try {
      last = read();
    } catch {
      // Then the last one stands.
    }
    return last;
  };
  process.memoryUsage = Object.assign(usage, { rss: () => usage().rss });
}
