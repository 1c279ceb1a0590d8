// Settings of the measurements, each a variable of the environment: bench/README.md lists them.
import path from 'node:path';

/** The median of one or two is not published. */
const FEWEST_ON_A_PAGE = 3;

const changed: string[] = [];

/** Ends the bench: what it was asked for cannot be measured. */
export function refuse(why: string): never {
  console.error(why);
  process.exit(1);
}

/** What the environment says, or else the usual. */
export function setting(name: string, usual: string): string {
  const value = process.env[name];
  if (value === undefined) return usual;
  changed.push(`${name}=${value}`);
  return value;
}

export function wholeNumber(name: string, usual: number, { least = 1, most = 1_000_000 } = {}): number {
  return wholeNumberIn(name, setting(name, String(usual)), least, most);
}

/** Several, separated by commas. */
export function wholeNumbers(name: string, usual: readonly number[], { least = 1, most = 1000 } = {}): number[] {
  return setting(name, usual.join(','))
    .split(',')
    .map((part) => wholeNumberIn(name, part, least, most));
}

function wholeNumberIn(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  return refuse(`${name} must be a whole number from ${least} to ${most}, got ${JSON.stringify(text)}`);
}

export function oneOf<Choice extends string>(name: string, usual: Choice, choices: readonly Choice[]): Choice {
  return choiceIn(name, setting(name, usual), choices);
}

function choiceIn<Choice extends string>(name: string, value: string, choices: readonly Choice[]): Choice {
  const chosen = choices.find((choice) => choice === value);
  return chosen ?? refuse(`${name} must be ${choices.join(' or ')}, got ${JSON.stringify(value)}`);
}

/** Whether what is printed also goes into the page that it belongs to. */
export const WRITES_PAGE = choiceIn('WRITE', process.env.WRITE ?? 'false', ['true', 'false']) === 'true';

/** How often something is measured. */
export function repetitions(name: string, usual: number): number {
  const times = wholeNumber(name, usual, { most: 1000 });
  if (WRITES_PAGE && times < FEWEST_ON_A_PAGE) {
    refuse(`${name} must be at least ${FEWEST_ON_A_PAGE} where a page is written, got ${times}; or leave out WRITE`);
  }
  return times;
}

/** What was run: the script of package.json that is named like the file, and the settings that are not the usual ones. */
export function command(): string {
  const name = path.basename(process.argv[1] ?? '', '.ts');
  return [...changed, `npm run ${name === 'bench' ? name : `bench:${name}`}`].join(' ');
}
