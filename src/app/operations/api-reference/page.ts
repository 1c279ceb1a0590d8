import { readFileSync } from 'node:fs';
import { type Html, html, htmlPage } from '../html.ts';
import { pagePolicy } from '../page-policy.ts';
import { curlCommand } from './curl.ts';
import type { Answer, Content, Header, OpenApi, Operation, Parameter, Ref } from './openapi.ts';
import { schemaWords } from './schema-words.ts';

const STYLE = ['../page.css', 'reference.css']
  .map((file) => readFileSync(new URL(file, import.meta.url), 'utf8'))
  .join('\n');

type Entry = { readonly method: string; readonly path: string; readonly operation: Operation };

/**
 * The API as a page that is all there is: no script, no font, no picture. It is read on phones and in the dark, too.
 *
 * @param base where examples ask
 */
export function makePage(document: OpenApi, base: string): { readonly html: string; readonly policy: string } {
  const { title, version, description } = document.info;
  const entries = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ method, path, operation })),
  );
  const tags = [...new Set(entries.flatMap(({ operation }) => operation.tags))];
  const schemas = Object.entries(document.components.schemas);
  const content = html`<header>
<h1>${title} <small>${version}</small></h1>
<p>${description}</p>
<p><a href="openapi.json">openapi.json</a></p>
</header>
<nav>
${tags.map(
  (tag) => html`<h2>${tag}</h2>
<ul>${entries.filter(({ operation }) => operation.tags.includes(tag)).map(link)}</ul>`,
)}
<h2>schemas</h2>
<ul>${schemas.map(([name]) => html`<li><a href="#${name}">${name}</a>`)}</ul>
</nav>
<main>${entries.map((entry) => section(entry, base))}${schemas.map(
    ([name, schema]) => html`<section id="${name}"><h2>${name}</h2>${schemaWords(schema)}</section>`,
  )}</main>`;
  return { html: htmlPage(`${title} ${version}`, STYLE, content), policy: pagePolicy(STYLE, false) };
}

function link({ method, path }: Entry): Html {
  return html`<li><a href="#${method}-${path}"><code><b>${method.toUpperCase()}</b> ${path}</code></a>`;
}

function section({ method, path, operation }: Entry, base: string): Html {
  const { summary, description, parameters, requestBody, responses } = operation;
  return html`
<section id="${method}-${path}">
<h2><code><b>${method.toUpperCase()}</b> ${path}</code></h2>
${summary && html`<p><strong>${summary}</strong></p>`}
${description && html`<p>${description}</p>`}
<pre>${curlCommand(base, method, path, operation)}</pre>
${parameters.length > 0 && html`<h3>Parameters</h3><dl>${parameters.map(parameterRow)}</dl>`}
${requestBody && html`<h3>Body</h3>${contentRows(requestBody.content)}`}
<h3>Answers</h3>
<dl>${Object.entries(responses).map(answerRow)}</dl>
</section>`;
}

function parameterRow({ name, in: where, required, description, schema }: Parameter): Html {
  return html`<dt><code>${name}</code> <small>in ${where}${!required && ', optional'}</small><dd>${schemaWords({
    ...schema,
    ...(description !== undefined && { description }),
  })}`;
}

function answerRow([status, answer]: [string, Answer | Ref]): Html {
  if ('$ref' in answer) return html`<dt><code>${status}</code> <small>problem</small><dd>${answer.description}`;
  const { description, headers = {}, content = {} } = answer;
  return html`<dt><code>${status}</code><dd>${description}${contentRows(content)}${Object.entries(headers).map(headerRow)}`;
}

/** Those that every answer has are told once, in the document. */
function headerRow([name, header]: [string, Header | { readonly $ref: string }]): Html | false {
  return 'description' in header && html`<p><code>${name}</code> <small>header</small> ${header.description}</p>`;
}

function contentRows(content: Content): Html[] {
  return Object.entries(content).map(
    ([type, { schema, example }]) =>
      html`<div><code>${type}</code> ${schemaWords(schema)}</div>${
        example !== undefined && html`<pre>${typeof example === 'string' ? example : JSON.stringify(example)}</pre>`
      }`,
  );
}
