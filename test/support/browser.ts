import { existsSync } from 'node:fs';
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { onTestFinished } from 'vitest';

/** Debian's. */
const CHROMIUM = '/usr/bin/chromium';

export const SCREENS = {
  'a phone, by day': { viewport: { width: 360, height: 740 }, colorScheme: 'light' },
  'a desk, by night': { viewport: { width: 1400, height: 900 }, colorScheme: 'dark' },
} as const;

export type Opened = {
  readonly page: Page;
  /** What the console says, and errors of scripts. */
  readonly complaints: readonly string[];
  /** The addresses of all that was asked for. */
  readonly asked: readonly string[];
};

/** An empty page, in a browser that ends with its test. */
export async function openPage(context: BrowserContextOptions): Promise<Opened> {
  if (!existsSync(CHROMIUM)) throw new Error('There is no Chromium: "apt-get install chromium" on Debian.');
  const browser = await chromium.launch({ executablePath: CHROMIUM });
  onTestFinished(() => browser.close());
  const page = await browser.newPage(context);
  const complaints: string[] = [];
  const asked: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => asked.push(request.url()));
  return { page, complaints, asked };
}
