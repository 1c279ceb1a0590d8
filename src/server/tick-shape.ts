import { createHook } from 'node:async_hooks';

/**
 * Keeps one of the objects that `process.nextTick` makes. When the last of them is collected, V8 may forget their shape, and
 * then makes each further one through its runtime, for good: 0.3 µs instead of 0.02, six times a request. Any collection in
 * a moment without requests does it. Node 24 and 26: docs/decisions/0011-hot-path.md.
 */
class TickShape {
  kept: object | undefined;

  keep(): void {
    const hook = createHook({
      init: (_id, type, _trigger, resource) => {
        if (type === 'TickObject') this.kept ??= resource;
      },
    });
    hook.enable();
    process.nextTick(() => {});
    hook.disable();
  }
}

export const tickShape = new TickShape();
