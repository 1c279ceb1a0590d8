import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openPage, SCREENS } from '../support/browser.ts';
import { ClientsOfEveryKind } from '../support/clients.ts';
import { Cluster } from '../support/cluster.ts';
import { ROOT } from '../support/paths.ts';
import { Service } from '../support/processes.ts';

/** Worth a look; not committed. */
const SCREENSHOTS = path.join(ROOT, 'screenshots');

/** How many columns of the first chart have a line of this colour, from top to bottom: somebody was ready, say. */
function lines(page: Page, colour: string): Promise<number> {
  return page.evaluate(
    `(() => {
      const probe = document.body.appendChild(document.createElement('i'));
      probe.style.color = 'var(--${colour})';
      const wanted = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
      probe.remove();
      const canvas = document.querySelector('figure canvas');
      const { width, height } = canvas;
      // Of a copy: for reading it again and again, the browser would have its advice in the console.
      const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      const { data } = copy.getImageData(0, 0, width, height);
      const has = (x, y) => wanted.every((part, index) => Math.abs(data[4 * (y * width + x) + index] - part) < 40);
      let columns = 0;
      for (let x = 0; x < width; x++) {
        let pixels = 0;
        for (let y = 0; y < height; y++) if (has(x, y)) pixels++;
        if (pixels > height / 3) columns++;
      }
      return columns;
    })()`,
  );
}

describe.each(Object.entries(SCREENS))('/status on %s', (where, context) => {
  it('shows a reload under load as it happens', async () => {
    const service = new Cluster({ REQUEST_LOG: 'false', RELOAD_IDLE_MS: '3000' });
    const url = await service.started(2);
    const clients = new ClientsOfEveryKind({ url, clients: 1 });
    onTestFinished(() => clients.stop());
    const { page, complaints, asked } = await openPage(context);
    await page.goto(`${url}/status`);
    const state = page.getByRole('status');
    await state.getByText('2 processes, ready').waitFor();
    const requests = page.locator('#headlines div', { hasText: 'Requests' }).locator('dd');
    await expect
      .poll(async () => Number.parseFloat((await requests.innerText()).replace('K', 'e3')))
      .toBeGreaterThan(10);
    const before = await lines(page, 'ready');

    service.child.kill('SIGHUP');
    await state.getByText('a reload is under way').waitFor();
    const events = page.getByRole('list').filter({ hasText: 'Worker' });
    await events.getByText('Reload started').waitFor();
    await events.getByText(/Reload done after/).waitFor();
    const told = await events.getByRole('listitem').allInnerTexts();
    const placeOf = (words: string) => told.findIndex((line) => line.includes(words));
    expect(placeOf('Reload done')).toBeLessThan(placeOf('Worker 4 is ready'));
    await expect
      .poll(() => page.getByRole('rowheader').allInnerTexts())
      .toEqual([expect.stringMatching(/^3 /), expect.stringMatching(/^4 /)]);
    await events.getByText('Worker 1 has left').waitFor();
    // The one that told is replaced as well: the page goes on with another one, and what was before is still there.
    await state.getByText('2 processes, ready').waitFor();
    await expect.poll(() => lines(page, 'ready')).toBeGreaterThan(before);
    // Those of before the reload are gone.
    const charts = await page.getByRole('img').count();
    expect(await page.evaluate("uPlot.sync('status').plots.length")).toBe(charts);
    service.child.kill('SIGTTIN');
    await events.getByText('Scaled to 3 workers').waitFor();
    // What one looks for is in sight, also on a phone.
    const refused = page.locator('#workers td[data-name="Refused"]').first();
    const { x = 0, width = 0 } = (await refused.boundingBox()) ?? {};
    expect(x + width).toBeLessThanOrEqual(context.viewport.width);
    await page.mouse.move(0, 0);
    mkdirSync(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: path.join(SCREENSHOTS, `status on ${where}.png`), fullPage: true });

    // Nobody has to scroll sideways.
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(context.viewport.width);
    // But for the stream, which ends with the worker.
    expect(complaints.filter((complaint) => !/ERR_INCOMPLETE_CHUNKED|status\/stream/.test(complaint))).toEqual([]);
    expect(new Set(asked.filter((address) => address !== 'data:,').map((address) => new URL(address).origin))).toEqual(
      new Set([url]),
    );
    await clients.stop();
    expect(clients.failures).toEqual([]);
  });
});

it('/status is read without seeing it, and finds the service again after a restart', async () => {
  const start = (port: string) => new Service('src/server/main.js', { PORT: port, DRAIN_IDLE_MS: '100' });
  const first = start('0');
  const url = await first.ready();
  const { page } = await openPage({});
  await page.goto(`${url}/status`);
  await page.getByRole('status').getByText('1 process, ready').waitFor();
  await expect(page.getByRole('table').ariaSnapshot()).resolves.toMatch(
    /columnheader "Latency, p99"[\s\S]*rowheader "single/,
  );
  // Nobody counts them without a supervisor.
  await expect(page.getByRole('columnheader', { name: 'Predecessors lost' }).count()).resolves.toBe(0);
  await expect(page.getByRole('img', { name: 'Chart: Requests', exact: true }).isVisible()).resolves.toBe(true);
  await expect(page.getByText('Latency (ms)', { exact: true }).isVisible()).resolves.toBe(true);
  first.child.kill('SIGTERM');
  expect(await first.ended()).toBe(0);
  await page.getByRole('status').getByText('Connection lost, trying again').waitFor();
  const second = start(new URL(url).port);
  await second.ready();
  await page.getByRole('status').getByText('1 process, ready').waitFor();
  await page.getByRole('rowheader', { name: `pid ${second.pid}` }).waitFor();
});
