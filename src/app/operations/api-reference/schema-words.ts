import { type Html, html } from '../html.ts';
import type { JsonSchema } from './openapi.ts';

/** A schema in words, such as `integer, 1 to 1000, default 100`, and below them the fields that it has. */
export function schemaWords(schema: JsonSchema): Html {
  const { description } = schema;
  return html`<span class="type">${[typeOf(schema), ...bounds(schema)].filter(Boolean).join(', ')}</span>${
    schema.$ref && reference(schema.$ref)
  }${description && html` ${description}`}${fields(schema)}`;
}

/** Links to where the page has it. */
function reference(ref: string): Html {
  const name = ref.replace(/.*\//, '');
  return html`<a href="#${name}">${name}</a>`;
}

function typeOf({ type, items, enum: values, const: value }: JsonSchema): string {
  if (values !== undefined) return values.map((each) => JSON.stringify(each)).join(' or ');
  if (value !== undefined) return JSON.stringify(value);
  if (type === 'array') return `list of ${items ? [typeOf(items), ...bounds(items)].join(', ') : 'anything'}`;
  return [type ?? []].flat().join(' or ');
}

function bounds({ minimum, maximum, minLength, maxLength, format, default: preset }: JsonSchema): string[] {
  return [
    format ?? '',
    range(minimum, maximum, ''),
    range(minLength, maxLength, ' characters'),
    preset === undefined ? '' : `default ${JSON.stringify(preset)}`,
  ].filter((words) => words !== '');
}

function range(least: number | undefined, most: number | undefined, unit: string): string {
  if (least !== undefined && most !== undefined) return `${least} to ${most}${unit}`;
  if (least !== undefined) return `${least}${unit} or more`;
  return most === undefined ? '' : `up to ${most}${unit}`;
}

/** Those of an object, of each in a list, or of each value by its name. */
function fields({ properties, required = [], items, additionalProperties }: JsonSchema): Html | undefined {
  if (items) return fields(items);
  if (typeof additionalProperties === 'object') {
    return html`<dl><dt><i>each name</i><dd>${schemaWords(additionalProperties)}</dl>`;
  }
  if (!properties) return undefined;
  const rows = Object.entries(properties).map(
    ([name, property]) =>
      html`<dt><code>${name}</code>${!required.includes(name) && html` <small>optional</small>`}<dd>${schemaWords(property)}`,
  );
  return html`<dl>${rows}</dl>`;
}
