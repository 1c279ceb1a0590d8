// Settings of the measurements, each a variable of the environment: bench/README.md lists them.
import path from 'node:path';

/** Whether what is printed also goes into the page that it belongs to. */
export const WRITES_PAGE = process.env.WRITE === 'true';

/** The median of one or two is not published. */
const FEWEST_ON_A_PAGE = 3;

const changed: string[] = [];

/** What the environment says, or else the usual. */
export function setting(name: string, usual: string): string {
  const value = process.env[name];
  if (value === undefined) return usual;
  changed.push(`${name}=${value}`);
  return value;
}

/** How often something is measured. */
export function repetitions(name: string, usual: number): number {
  const times = Number(setting(name, String(usual)));
  if (WRITES_PAGE && times < FEWEST_ON_A_PAGE) {
    throw new Error(
      `${name} must be at least ${FEWEST_ON_A_PAGE} where a page is written, got ${times}; or leave out WRITE`,
    );
  }
  return times;
}

/** What was run: the script of package.json that is named like the file, and the settings that are not the usual ones. */
export function command(): string {
  const name = path.basename(process.argv[1] ?? '', '.ts');
  return [...changed, `npm run ${name === 'bench' ? name : `bench:${name}`}`].join(' ');
}
