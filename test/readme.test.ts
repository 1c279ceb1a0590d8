import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import { settingsTable } from '../src/config/explain.ts';
import { ROOT } from './support/paths.ts';

const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');

describe('docs/operating.md', () => {
  const operating = readFileSync(path.join(ROOT, 'docs/operating.md'), 'utf8');
  const rules = readFileSync(path.join(ROOT, 'deploy/prometheus/mainstay.rules.yml'), 'utf8');

  it('explains each alert, where the alert says so', () => {
    const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, alert = '']) => alert);
    expect([...operating.matchAll(/^### (\w+)$/gm)].map(([, heading]) => heading)).toEqual(alerts);
    const runbooks = [...rules.matchAll(/runbook: docs\/operating\.md#(\w+)/g)].map(([, anchor]) => anchor);
    expect(runbooks).toEqual(alerts.map((alert) => alert.toLowerCase()));
  });
});

describe('the README', () => {
  it('has the table of settings as they are', () => {
    // Not toContain(), which would show the whole README.
    expect(readme.includes(settingsTable()), 'the README needs the table that "npm run settings" prints').toBe(true);
  });

  it('names only commands that exist', () => {
    const named = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, script]) => script);
    expect(named.filter((script) => !Object.keys(packageJson.scripts).includes(script ?? ''))).toEqual([]);
  });

  it('links only to files that exist', () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, file]) => file ?? '');
    for (const file of links) expect(() => readFileSync(path.join(ROOT, file)), file).not.toThrow();
  });
});
