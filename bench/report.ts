import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import { ROOT } from '../test/support/paths.ts';
import { command, WRITES_PAGE } from './settings.ts';

/** In the minute before: whether the machine had something else to do. */
const [loadBefore = Number.NaN] = loadavg();

function warnIfBusy(): void {
  if (loadBefore <= availableParallelism() / 2) return;
  console.error(
    `The load average before was ${loadBefore.toFixed(1)}: figures of a busy machine are not worth publishing.`,
  );
}
// At the start, so that nobody waits for nothing, and once more where the figures are.
warnIfBusy();

/** What a section is called, unless it says more: there is one for each Node and machine. */
const TITLE = `Node ${process.versions.node}, ${availableParallelism()} cores`;

/** A Markdown table; the first row is its head. */
export function markdownTable(rows: readonly (readonly (string | number)[])[]): string {
  const [head = [], ...body] = rows;
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}

/** What the figures of most pages are. */
export function mediansOf(rounds: number, roundMs: number): string {
  return `medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${roundMs / 1000} s`;
}

/**
 * Prints a section, and with WRITE=true puts it into a page as well. It says itself when, by which command and beside how much
 * other work it was measured, so that nobody has to add a remark by hand.
 *
 * @param page from the project's root
 * @param how what the figures are: "medians of …"
 */
export function publish(page: string, how: string, tables: string, title = TITLE): void {
  const date = new Date().toISOString().slice(0, 10);
  const origin = `${date}, \`${command()}\`, load average before it ${loadBefore.toFixed(1)}`;
  const section = `## ${title}\n\n${origin}: ${how}\n\n${tables}\n`;
  console.log(section);
  if (WRITES_PAGE) writeSection(path.join(ROOT, page), title, section);
  warnIfBusy();
}

/** In the place of the section with the same title, or at the end. */
function writeSection(file: string, title: string, section: string): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const sections = before.split(/^(?=## )/m);
  const index = sections.findIndex((other) => other.startsWith(`## ${title}\n`));
  if (index === -1) sections.push(`\n${section}`);
  else sections[index] = `${section}${index === sections.length - 1 ? '' : '\n'}`;
  writeFileSync(file, sections.join(''));
}
