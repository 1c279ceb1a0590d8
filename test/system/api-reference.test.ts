import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { listeningApp } from '../support/app.ts';

/** Debian's. */
const CHROMIUM = '/usr/bin/chromium';

beforeAll(() => {
  if (!existsSync(CHROMIUM)) throw new Error('There is no Chromium: "apt-get install chromium" on Debian.');
});

describe.each([
  ['a phone, by day', { viewport: { width: 360, height: 740 }, colorScheme: 'light' }],
  ['a desk, by night', { viewport: { width: 1400, height: 900 }, colorScheme: 'dark' }],
] as const)('/docs on %s', (_where, context) => {
  it('shows operations, breaks nothing of its policy, and asks the service only', async () => {
    const { url } = await listeningApp();
    const browser = await chromium.launch({ executablePath: CHROMIUM });
    onTestFinished(() => browser.close());
    const page = await browser.newPage(context);
    const complaints: string[] = [];
    const asked: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => asked.push(request.url()));
    await page.goto(`${url}/docs`);

    await page.getByRole('link', { name: 'GET /readyz' }).click();
    const heading = page.getByRole('heading', { name: 'GET /readyz' });
    expect(await heading.isVisible()).toBe(true);
    expect(new URL(page.url()).hash).toBe('#get-/readyz');
    const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(background).toBe(context.colorScheme === 'dark' ? 'rgb(13, 17, 23)' : 'rgb(255, 255, 255)');
    // Nobody has to scroll sideways.
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(context.viewport.width);
    expect(complaints).toEqual([]);
    expect(asked.filter((address) => address !== 'data:,')).toEqual([`${url}/docs`]);

    await page.getByRole('link', { name: 'openapi.json' }).first().click();
    expect(await page.locator('body').innerText()).toContain('"openapi":"3.1.1"');
  });
});
