import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apps } from '../../ecosystem.config.js';
import { readConfig } from '../../src/config/read-config.ts';
import { defaults } from '../../src/config/settings.ts';
import {
  drainBudgetMs,
  killTimeoutMs,
  listenTimeoutMs,
  retireBudgetMs,
  retirePatienceMs,
  supervisorPatienceMs,
  toldKeepAliveMs,
} from '../../src/config/timing.ts';
import { ROOT } from '../support/paths.ts';

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

/** The time behind a word in a file, in milliseconds. */
function timeIn(file: string, word: RegExp): number {
  const [, number, unit] = new RegExp(`${word.source}[ =]+(\\d+)(ms|s)\\b`).exec(read(file)) ?? [];
  if (unit === undefined) throw new Error(`${file} has no time for ${word}`);
  return Number(number) * (unit === 's' ? 1000 : 1);
}

/** What Docker and Podman wait for between SIGTERM and SIGKILL, unless they are told otherwise. */
const CONTAINER_STOP_MS = 10_000;

const times = fc
  .record({
    DRAIN_DELAY_MS: fc.nat(600_000),
    DRAIN_IDLE_MS: fc.nat(300_000),
    DRAIN_TIMEOUT_MS: fc.integer({ min: 300_001, max: 600_000 }),
    RELOAD_IDLE_MS: fc.nat(600_000),
    START_TIMEOUT_MS: fc.integer({ min: 100, max: 600_000 }),
  })
  .map((settings) =>
    readConfig(Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]))),
  );

describe('the timing budget', () => {
  it('fits each time inside the next one, whatever is set', () => {
    fc.assert(
      fc.property(times, (config) => {
        expect(config.drainDelayMs + config.drainTimeoutMs).toBeLessThan(drainBudgetMs(config));
        expect(drainBudgetMs(config)).toBeLessThan(supervisorPatienceMs(config));
        expect(supervisorPatienceMs(config)).toBeLessThan(killTimeoutMs(config));
        expect(config.reloadIdleMs + config.drainTimeoutMs).toBeLessThan(retireBudgetMs(config));
        expect(retireBudgetMs(config)).toBeLessThan(retirePatienceMs(config));
        expect(config.startTimeoutMs).toBeLessThan(listenTimeoutMs(config));
      }),
    );
  });

  it('is kept by the ecosystem file', () => {
    expect(apps).toMatchObject([{ kill_timeout: killTimeoutMs(defaults), listen_timeout: listenTimeoutMs(defaults) }]);
  });

  it('leaves a container enough time to stop, and to start before it counts as unhealthy', () => {
    expect(killTimeoutMs(defaults)).toBeLessThan(CONTAINER_STOP_MS);
    expect(defaults.startTimeoutMs).toBeLessThan(timeIn('Dockerfile', /--start-period/));
  });

  it('has nginx close idle connections before the service would, running or draining', () => {
    const proxyIdleMs = timeIn('deploy/nginx/mainstay.conf', /keepalive_timeout/);
    expect(proxyIdleMs).toBeLessThan(defaults.keepAliveTimeoutMs);
    expect(proxyIdleMs).toBeLessThan(defaults.drainIdleMs);
  });

  it('has clients that heed what they are told close idle connections before a draining process would', () => {
    expect(toldKeepAliveMs(defaults)).toBeLessThanOrEqual(defaults.drainIdleMs);
  });

  it('outlives the idle connections of the usual proxies', () => {
    const usualIdleMs = 60_000; // nginx's upstream keepalive_timeout and ALB's idle time-out.
    expect(defaults.keepAliveTimeoutMs).toBeGreaterThan(usualIdleMs);
  });

  it('is what the README tells whoever sends SIGKILL', () => {
    const margin = (killTimeoutMs(defaults) - defaults.drainDelayMs - defaults.drainTimeoutMs) / 1000;
    expect(read('README.md').replaceAll(/\s+/g, ' ')).toContain(
      `wait for \`DRAIN_DELAY_MS\` + \`DRAIN_TIMEOUT_MS\` + ${margin} s`,
    );
  });
});
