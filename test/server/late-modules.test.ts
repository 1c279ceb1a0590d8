import { rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { Service } from '../support/processes.ts';
import { ProjectCopy } from '../support/project-copy.ts';
import { Viewer } from '../support/status.ts';

it('a process that has served for some seconds does not depend on files that a deployment is replacing', async () => {
  const copy = new ProjectCopy();
  const service = new Service('src/server/main.js', { LOG_LEVEL: 'debug' }, { root: copy.root });
  const url = await service.ready();
  await service.until((self) => self.lines('loaded what is needed late').length > 0);
  for (const part of ['node_modules', 'src']) rmSync(path.join(copy.root, part), { recursive: true });
  const scripts = ['uplot.js', 'page.js', 'chart.js', 'elements.js', 'words.js'].map(
    (name) => `/status/scripts/${name}`,
  );
  for (const asked of ['/metrics', '/health', '/docs', '/openapi.json', '/status', ...scripts, '/greet']) {
    const response = await fetch(url + asked);
    expect({ asked, status: response.status }).toEqual({ asked, status: 200 });
    await response.text();
  }
  const viewer = await Viewer.at(url);
  expect(viewer.beginning.panels.length).toBeGreaterThan(0);
  service.child.kill('SIGTERM');
  expect(await service.ended()).toBe(0);
});
