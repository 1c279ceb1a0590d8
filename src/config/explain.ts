import { describe, type Environment, type Schema, sourceOf } from './read-config.ts';
import { type Config, type SettingName, settingNames, settings, variableOf } from './settings.ts';

/** One line for each setting: `PORT=3000 (default)`. Secrets are masked. */
export function explain(config: Config, environment: Environment): string {
  return settingNames
    .map(
      (name) => `${variableOf(name)}=${show(settings.properties[name], config[name])} (${sourceOf(name, environment)})`,
    )
    .join('\n');
}

/** The settings as a Markdown table, as the README has it. */
export function settingsTable(): string {
  const rows = settingNames.map((name) => {
    const schema: Schema = settings.properties[name];
    const fallback = schema.default === '' ? 'empty' : `\`${schema.default}\``;
    return `| \`${variableOf(name)}\` | ${fallback} | ${describe(schema)} | ${schema.description} |`;
  });
  return ['| variable | default | values | what it does |', '|---|---|---|---|', ...rows].join('\n');
}

/** The value of a setting as people may see it. */
export function show(schema: Schema, value: Config[SettingName]): string {
  if (schema.writeOnly === true && value !== schema.default) return '(hidden)';
  return schema.format === 'uri' ? withoutSecrets(String(value)) : String(value);
}

/** PostgreSQL takes a password in the query as well. */
function withoutSecrets(text: string): string {
  const url = URL.parse(text);
  if (url === null || url.username + url.password + url.search === '') return text;
  if (url.username + url.password !== '') {
    url.username = '(hidden)';
    url.password = '';
  }
  if (url.search !== '') url.search = '(hidden)';
  return url.href;
}
