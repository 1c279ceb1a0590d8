import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { html, htmlPage } from '../html.ts';
import { pagePolicy } from '../page-policy.ts';

const require = createRequire(import.meta.url);

const STYLE = [
  require.resolve('uplot/dist/uPlot.min.css'),
  new URL('../page.css', import.meta.url),
  new URL('status.css', import.meta.url),
]
  .map(read)
  .join('\n');

/** What it loads, by its name in the page. The first one draws the charts: https://github.com/leeoniya/uPlot */
const SCRIPTS: ReadonlyMap<string, string> = new Map([
  ['uplot.js', read(require.resolve('uplot/dist/uPlot.iife.min.js'))],
  ...['words.js', 'elements.js', 'chart.js', 'page.js'].map(
    (name) => [name, read(new URL(`browser/${name}`, import.meta.url))] as const,
  ),
]);

/** The page, and the policy that lets nothing else in than what is in it and what the service has. */
export function makePage({ name, version }: { readonly name: string; readonly version: string }) {
  const content = html`<header>
<h1>${name} <small>${version}</small></h1>
<p id="state" role="status">Connecting…</p>
</header>
<main>
<noscript><p>This live page needs JavaScript. The same figures, for programs, are at <a href="metrics">/metrics</a>.</p></noscript>
<dl id="headlines" aria-label="Now"></dl>
<section>
<h2 id="workers-title">Workers</h2>
<div class="scrolls" tabindex="0" role="region" aria-labelledby="workers-title">
<table>
<thead><tr id="worker-columns"></tr></thead>
<tbody id="workers"></tbody>
</table>
</div>
</section>
<section aria-labelledby="charts-title">
<h2 id="charts-title">The last 15 minutes</h2>
<ul id="marks" aria-label="Marks in the charts">
<li class="reload">reload
<li class="reload-failed">failed reload
<li class="ready">a worker became ready
<li class="left">a worker left
<li class="lost">a worker was lost
</ul>
<div id="charts"></div>
</section>
<section aria-labelledby="events-title">
<h2 id="events-title">What happened</h2>
<ol id="events"></ol>
</section>
</main>
<script src="status/scripts/uplot.js"></script>
<script type="module" src="status/scripts/page.js"></script>`;
  return { html: htmlPage(`${name}: status`, STYLE, content), policy: pagePolicy(STYLE, true) };
}

/** @returns undefined where the page has no such script */
export function scriptOf(name: string): string | undefined {
  return SCRIPTS.get(name);
}

function read(file: string | URL): string {
  return readFileSync(file, 'utf8');
}
