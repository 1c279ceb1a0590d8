import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../test/support/paths.ts';

/** A Markdown table; the first row is its head. */
export function markdownTable(rows: readonly (readonly (string | number)[])[]): string {
  const [head = [], ...body] = rows;
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}

/** Writes a section of a document, given from the project's root, in the place of the one with the same title, or at the end. */
export function writeSection(file: string, title: string, markdown: string): void {
  const full = path.join(ROOT, file);
  const before = existsSync(full) ? readFileSync(full, 'utf8') : '';
  const section = `## ${title}\n\n${markdown}\n`;
  const sections = before.split(/^(?=## )/m);
  const index = sections.findIndex((other) => other.startsWith(`## ${title}\n`));
  if (index === -1) sections.push(`\n${section}`);
  else sections[index] = `${section}${index === sections.length - 1 ? '' : '\n'}`;
  writeFileSync(full, sections.join(''));
}
