import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { ROOT } from './paths.ts';

/** A copy of the project's code, for tests that change it under a running service. It is gone when its test ends. */
export class ProjectCopy {
  readonly root = mkdtempSync(path.join(tmpdir(), 'mainstay-'));

  constructor() {
    for (const entry of ['package.json', 'src'])
      cpSync(path.join(ROOT, entry), path.join(this.root, entry), { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(this.root, 'node_modules'));
    onTestFinished(() => rmSync(this.root, { recursive: true, force: true }));
  }

  /** Changes a file, given from the root. @returns a function that undoes it */
  change(file: string, edit: (text: string) => string): () => void {
    const full = path.join(this.root, file);
    const before = readFileSync(full, 'utf8');
    const after = edit(before);
    if (after === before) throw new Error(`nothing to change in ${file}`);
    writeFileSync(full, after);
    return () => writeFileSync(full, before);
  }
}
