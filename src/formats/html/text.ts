// Turns a page into text. Home of css-select and domhandler. The depth of a page is bounded as in fields.ts, and lower:
// here the whole page is kept as a tree.
import { compile, selectAll } from 'css-select';
import { type AnyNode, DomHandler, type Element, isTag, isText } from 'domhandler';
import { Parser } from 'htmlparser2';
import { messageOf } from '../../core/errors.ts';
import { PageTooDeepError, readAtMost } from './depth.ts';

/** Greatest depth of a page that is turned into text. */
const DEEPEST_TEXT = 512;

class BoundedHandler extends DomHandler {
  #depth = 0;

  override onopentag(name: string, attributes: { [key: string]: string }): void {
    this.#depth += 1;
    if (this.#depth > DEEPEST_TEXT) throw new PageTooDeepError('nests too deeply');
    super.onopentag(name, attributes);
  }

  override onclosetag(): void {
    this.#depth -= 1;
    super.onclosetag();
  }
}

/** Elements whose content is not visible on a page. */
const UNSEEN = new Set(['script', 'style', 'head', 'template', 'noscript', 'object', 'iframe', 'svg', 'math']);
/** Elements that begin a new line. Those in PARTS are also set off by an empty line. */
const LINES = new Set([
  ...[
    'address',
    'article',
    'aside',
    'body',
    'caption',
    'dd',
    'details',
    'div',
    'dt',
    'fieldset',
    'figcaption',
    'footer',
  ],
  ...['form', 'header', 'hr', 'html', 'legend', 'li', 'main', 'nav', 'option', 'section', 'summary', 'textarea', 'tr'],
]);
const PARTS = new Set([
  'blockquote',
  'dl',
  'figure',
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
  'ol',
  'p',
  'pre',
  'table',
  'ul',
]);

/**
 * Makes a function that turns a page into text: blocks stand on their own lines, cells of a row are separated by
 * bars, list items begin with a dash; a form shows its values, save hidden ones and passwords, and "[x]" for what is
 * chosen; scripts and styles are left out. `selectors` are CSS selectors of the
 * wanted parts, which come out in the order of the page; an empty list means the whole page. The function answers
 * undefined when the page has none of these parts, and throws a PageTooDeepError.
 */
export function textOf(selectors: readonly string[]): (html: string) => string | undefined {
  const wanted = selectors.length > 0 ? compile<AnyNode, Element>(selectors.join(', ')) : undefined;
  const read = (html: string) => {
    const handler = new BoundedHandler();
    const parser = new Parser(handler);
    parser.write(html);
    parser.end();
    const roots = wanted ? outermost(selectAll(wanted, handler.root as AnyNode).filter(isTag)) : handler.root.children;
    if (wanted && roots.length === 0) return undefined;
    const writer = createWriter();
    for (const root of roots) {
      writer.gap(2);
      write(root, writer, false);
    }
    return writer.text();
  };
  return (html) => readAtMost(html, DEEPEST_TEXT, read);
}

/** Leaves out an element that lies inside another selected element, so that it is not shown twice. */
function outermost(nodes: readonly Element[]): Element[] {
  const chosen = new Set<AnyNode>(nodes);
  const insideAnother = (node: Element): boolean => {
    for (let above = node.parent; above; above = above.parent) if (chosen.has(above as AnyNode)) return true;
    return false;
  };
  return nodes.filter((node) => !insideAnother(node));
}

interface Writer {
  /** Puts at least this many line ends before the next text. */
  gap(lines: number): void;
  /** Adds text. `kept`: white space is kept as it is, as in <pre>. */
  add(text: string, kept?: boolean): void;
  /** The whole text, without white space at the ends of lines. */
  text(): string;
}

function createWriter(): Writer {
  const parts: string[] = [];
  let wanted = 0;
  let space = false;
  const put = (text: string) => {
    if (wanted > 0 && parts.length > 0) parts.push('\n'.repeat(wanted));
    else if (space && parts.length > 0) parts.push(' ');
    wanted = 0;
    space = false;
    parts.push(text);
  };
  return {
    gap(lines) {
      wanted = Math.max(wanted, lines);
    },
    add(text, kept = false) {
      if (kept) return text === '' ? undefined : put(text);
      const words = text.replace(/[\s\u00a0]+/g, ' ');
      if (words.startsWith(' ')) space = true;
      if (words.trim() !== '') put(words.trim());
      if (words.endsWith(' ')) space = true;
    },
    text: () =>
      parts
        .join('')
        .split('\n')
        .map((line) => line.trimEnd())
        .join('\n')
        .trim(),
  };
}

function write(node: AnyNode, writer: Writer, kept: boolean): void {
  if (isText(node)) return writer.add(node.data, kept);
  if (!isTag(node) || UNSEEN.has(node.name)) return;
  const { name } = node;
  const gap = PARTS.has(name) ? 2 : LINES.has(name) ? 1 : 0;
  if (gap > 0) writer.gap(gap);
  if (name === 'br') writer.gap(1);
  if (name === 'li') writer.add('- ');
  if ((name === 'td' || name === 'th') && isAfterCell(node)) writer.add(' | ');
  if (name === 'input') writeInput(node.attribs, writer);
  if (name === 'option' && isInSelect(node)) writer.add(node.attribs.selected === undefined ? '[ ] ' : '[x] ');
  for (const child of node.children) write(child, writer, kept || name === 'pre' || name === 'textarea');
  if (gap > 0) writer.gap(gap);
}

/** Fields whose value is a token, a secret, or the label of something to press. */
const NO_VALUE = new Set(['hidden', 'password', 'submit', 'button', 'reset', 'image', 'file']);

function writeInput({ type = 'text', value = '', checked }: Element['attribs'], writer: Writer): void {
  const kind = type.toLowerCase();
  if (kind === 'checkbox' || kind === 'radio') writer.add(checked === undefined ? ' [ ] ' : ' [x] ');
  else if (!NO_VALUE.has(kind)) writer.add(` ${value} `);
}

const isInSelect = ({ parent }: Element): boolean =>
  parent !== null && isTag(parent as AnyNode) && ['select', 'optgroup'].includes((parent as Element).name);

function isAfterCell(cell: Element): boolean {
  for (let before = cell.prev; before; before = before.prev)
    if (isTag(before)) return before.name === 'td' || before.name === 'th';
  return false;
}

/** Answers what is wrong with a CSS selector, or undefined when it can be used. */
export function selectorProblem(selector: string): string | undefined {
  // On a page with many siblings, these selectors take time that grows with the square of their number.
  if (/[:~]/.test(selector.replace(/\[[^\]]*\]/g, ''))) return 'pseudo-classes and "~" are not supported here';
  if (/\.\.|[.#]\s|[.#>+,]\s*$/.test(selector)) return 'is not a CSS selector';
  try {
    textOf([selector])('<p></p>');
    return undefined;
  } catch (thrown) {
    return `is not a CSS selector: ${messageOf(thrown).split('\n')[0]}`;
  }
}
