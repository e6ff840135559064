// The only home of htmlparser2 and html-to-text: what old applications hide in their pages (form fields,
// tokens in <meta>), and what a page says as text.
import { compile } from 'html-to-text';
import { Parser } from 'htmlparser2';
import { messageOf } from './errors.ts';

interface Field {
  name: string;
  value: string;
  hidden: boolean;
  /** `id` and `name` of the form it stands in. */
  form: readonly (string | undefined)[];
}

/** Value of each named <input>, the first of a name. A field without a value has the empty string. */
export function formFields(html: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const { name, value } of inputs(html)) if (!fields.has(name)) fields.set(name, value);
  return fields;
}

/** All hidden fields of a form (by its id or name, or of the whole page), as such forms post them back. */
export function hiddenFields(html: string, form?: string): Record<string, string> {
  return Object.fromEntries(
    inputs(html)
      .filter((field) => field.hidden && (form === undefined || field.form.includes(form)))
      .map(({ name, value }) => [name, value]),
  );
}

/** Content of <meta name="…">. */
export function metaContent(html: string, name: string): string | undefined {
  let content: string | undefined;
  scan(html, (tag, attributes) => {
    if (tag === 'meta' && attributes.name === name) content ??= attributes.content ?? '';
  });
  return content;
}

/** Text of <title>, in one line. */
export function pageTitle(html: string): string {
  let title = '';
  let inside = false;
  const parser = new Parser({
    onopentag: (tag) => {
      inside = tag === 'title' && title === '';
    },
    ontext: (text) => {
      if (inside) title += text;
    },
    onclosetag: () => {
      inside = false;
    },
  });
  parser.write(html);
  parser.end();
  return title.replace(/\s+/g, ' ').trim();
}

function inputs(html: string): Field[] {
  const found: Field[] = [];
  let form: Field['form'] = [];
  scan(
    html,
    (tag, { name, value = '', type = '', id, form: owner }) => {
      if (tag === 'form') form = [id, name];
      if (tag === 'input' && name !== undefined)
        found.push({ name, value, hidden: type.toLowerCase() === 'hidden', form: owner ? [owner] : form });
    },
    (tag) => {
      if (tag === 'form') form = [];
    },
  );
  return found;
}

function scan(
  html: string,
  open: (tag: string, attributes: Record<string, string>) => void,
  close: (tag: string) => void = () => {},
): void {
  const parser = new Parser({ onopentag: open, onclosetag: close });
  parser.write(html);
  parser.end();
}

const MAX_NODES = 200_000;

/**
 * Makes a function that turns a page into text: headings, lists and tables keep their lines, scripts and
 * styles go. `selectors`: CSS selectors of the parts that are wanted; none: the body.
 */
export function textOf(selectors: readonly string[]): (html: string) => string {
  const plain = { options: { ignoreHref: true, uppercase: false } };
  return compile({
    wordwrap: false,
    limits: { maxInputLength: Number.MAX_SAFE_INTEGER, maxDepth: 200, maxChildNodes: MAX_NODES },
    baseElements: {
      selectors: selectors.length > 0 ? [...selectors] : ['body'],
      returnDomByDefault: selectors.length === 0,
    },
    selectors: [
      { selector: 'a', ...plain },
      { selector: 'img', format: 'skip' },
      ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, ...plain })),
      { selector: 'table', format: 'dataTable', options: { uppercaseHeaderCells: false, maxColumnWidth: 200 } },
    ],
  });
}

/** What is wrong with a CSS selector, or undefined. */
export function selectorProblem(selector: string): string | undefined {
  try {
    textOf([selector])('<p></p>');
    return undefined;
  } catch (thrown) {
    return `is not a CSS selector: ${messageOf(thrown).split('\n')[0]}`;
  }
}
