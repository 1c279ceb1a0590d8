import { defineConfig } from 'vitest/config';

// Generous, for slow cores: what is awaited is an event, so that a quick machine does not wait.
const timeouts = { testTimeout: 120_000, hookTimeout: 60_000, expect: { poll: { timeout: 20_000 } } };

export default defineConfig({
  test: {
    // Most of the time these tests wait for processes: more of them at once than there are cores.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: 'service',
          include: ['test/**/*.test.ts'],
          exclude: ['test/system/**'],
          ...timeouts,
        },
      },
      {
        test: { name: 'system', include: ['test/system/**/*.test.ts'], testTimeout: 600_000, hookTimeout: 600_000 },
      },
    ],
  },
});
