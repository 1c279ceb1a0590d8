import { defineConfig } from 'vitest/config';

// Generous, for slow cores: what is awaited is an event, so that a quick machine does not wait.
const timeouts = { testTimeout: 120_000, hookTimeout: 60_000, expect: { poll: { timeout: 20_000 } } };

/** Those that need more than Node: nginx, Prometheus, or a container engine. */
const SYSTEM = ['test/system/**/*.test.ts', 'test/**/container.test.ts'];

export default defineConfig({
  test: {
    // Most of the time these tests wait for processes: more of them at once than there are cores.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: 'service',
          include: ['test/**/*.test.ts'],
          exclude: SYSTEM,
          ...timeouts,
        },
      },
      {
        test: { name: 'system', include: SYSTEM, testTimeout: 600_000, hookTimeout: 600_000 },
      },
    ],
  },
});
