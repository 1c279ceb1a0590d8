// Takes the features out of app.ts: what it imports from their folder, and the statements that register it.
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = 'src/app/app.ts';
const IMPORT = /^import (?:type )?([^;]*?) from '\.\/features\/[^']*';\n/gm;

const source = readFileSync(FILE, 'utf8');
const names = [...source.matchAll(IMPORT)].flatMap(([, clause]) => clause.match(/\w+/g));
const registration = new RegExp(`^ *(?:await )?app\\.register\\((?:${names.join('|')})\\b[^;]*;\\n`, 'gm');
writeFileSync(FILE, names.length > 0 ? source.replace(IMPORT, '').replace(registration, '') : source);
