// Reads what legacy applications put into their pages: form fields, CSRF tokens in <meta>, the title. The depth of a
// page is bounded: see depth.ts.
import { Parser } from 'htmlparser2';
import { PageTooDeepError, readAtMost } from './depth.ts';

/** Greatest depth of a page. For each end tag a parser looks through all that is open. */
const DEEPEST_SCAN = 512;

interface Field {
  name: string;
  value: string;
  hidden: boolean;
  /** `id` and `name` of the form that the field belongs to. */
  form: readonly (string | undefined)[];
}

/**
 * The value of each named <input>; of several with the same name the first counts. A field without a value has
 * the empty string.
 */
export function formFields(html: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const { name, value } of readAtMost(html, DEEPEST_SCAN, inputs)) if (!fields.has(name)) fields.set(name, value);
  return fields;
}

/**
 * All hidden fields of a form (given by its id or name), or of the whole page, with the values that a browser
 * would send back.
 */
export function hiddenFields(html: string, form?: string): Record<string, string> {
  return Object.fromEntries(
    readAtMost(html, DEEPEST_SCAN, inputs)
      .filter((field) => field.hidden && (form === undefined || field.form.includes(form)))
      .map(({ name, value }) => [name, value]),
  );
}

/** The content of <meta name="…">, or undefined when the page has none. */
export function metaContent(page: string, name: string): string | undefined {
  return readAtMost(page, DEEPEST_SCAN, (html) => {
    let content: string | undefined;
    scan(html, (tag, attributes) => {
      if (tag === 'meta' && attributes.name === name) content ??= attributes.content ?? '';
    });
    return content;
  });
}

/** The text of <title> on one line; empty when there is none. */
export const pageTitle = (page: string): string => readAtMost(page, DEEPEST_SCAN, titleOf);

function titleOf(html: string): string {
  let title = '';
  let inside = false;
  scan(
    html,
    (tag) => {
      inside = tag === 'title' && title === '';
    },
    () => {
      inside = false;
    },
    (text) => {
      if (inside) title += text;
    },
  );
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
  text: (data: string) => void = () => {},
): void {
  let depth = 0;
  const parser = new Parser({
    onopentag(tag, attributes) {
      depth += 1;
      if (depth > DEEPEST_SCAN) throw new PageTooDeepError('nests too deeply');
      open(tag, attributes);
    },
    onclosetag(tag) {
      depth -= 1;
      close(tag);
    },
    ontext: text,
  });
  parser.write(html);
  parser.end();
}
