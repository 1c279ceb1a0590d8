import { describe, expect, it } from 'vitest';
import { listeningApp } from '../support/app.ts';
import { openPage, SCREENS } from '../support/browser.ts';

describe.each(Object.entries(SCREENS))('/docs on %s', (_where, context) => {
  it('shows operations, breaks nothing of its policy, and asks the service only', async () => {
    const { url } = await listeningApp();
    const { page, complaints, asked } = await openPage(context);
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
