// The only home of saxes: strict XML without a document type. With a document type, an answer could bring
// entities that grow without bound or that read files, so XML that has one is not accepted.
import { SaxesParser, type SaxesTagPlain } from 'saxes';
import { messageOf } from '../core/errors.ts';
import type { Json, JsonObject } from './json.ts';
import { placeholders, replacePlaceholders } from './template.ts';

/**
 * Encodes text for a place between tags or in a quoted attribute. Answers undefined when it has a character that
 * XML 1.0 cannot express.
 */
export function xmlText(text: string): string | undefined {
  // The Char production of XML 1.0 §2.2. An unpaired surrogate is not a character either.
  if (!/^[\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]*$/u.test(text)) return undefined;
  return text.replace(/[&<>"'\t\n\r]/g, (c) => `&#${c.codePointAt(0)};`);
}

/** How to read XML. `nesting` is the greatest depth of elements that is accepted. */
export interface XmlOptions {
  /** Names of elements that become a list even when there is only one. */
  lists?: readonly string[];
  nesting: number;
}

/**
 * Turns an XML document into JSON. An element with only text becomes that text; any other becomes an object with
 * its attributes as "@name", its text as "#text" and its children by name, with a list where a name comes more
 * than once. Answers undefined when the document is not well-formed, has a document type, or nests too deeply.
 */
export function xmlToJson(text: string, { lists = [], nesting }: XmlOptions): JsonObject | undefined {
  const always = new Set(lists);
  const stack: { name: string; node: Map<string, Json>; text: string }[] = [{ name: '', node: new Map(), text: '' }];
  const parser = new SaxesParser();
  const fail = (message: string): never => {
    throw new Error(message);
  };
  parser.on('error', (error) => fail(error.message));
  parser.on('doctype', () => fail('a document type'));
  parser.on('opentag', (tag: SaxesTagPlain) => {
    if (stack.length > nesting) fail('nests too deeply');
    const attributes = Object.entries(tag.attributes).map(([key, value]): [string, Json] => [`@${key}`, value]);
    stack.push({ name: tag.name, node: new Map(attributes), text: '' });
  });
  const add = (chunk: string) => {
    const top = stack.at(-1);
    if (top) top.text += chunk;
  };
  parser.on('text', add);
  parser.on('cdata', add);
  parser.on('closetag', () => {
    const { name, node, text: inner } = stack.pop() as (typeof stack)[number];
    const bare = inner.trim();
    if (node.size > 0 && bare !== '') node.set('#text', bare);
    const value: Json = node.size === 0 ? inner.trim() : Object.fromEntries(node);
    const parent = stack.at(-1)?.node as Map<string, Json>;
    const before = parent.get(name);
    if (Array.isArray(before)) before.push(value);
    else if (before !== undefined) parent.set(name, [before, value]);
    else parent.set(name, always.has(name) ? [value] : value);
  });
  try {
    parser.write(text).close();
    return Object.fromEntries(stack[0]?.node ?? []);
  } catch {
    return undefined;
  }
}

/**
 * Answers what is wrong with an XML template, or undefined. It must be well-formed, and placeholders may stand
 * only in text or attribute values, so that a value cannot change the structure.
 */
export function xmlTemplateProblem(template: string): string | undefined {
  const MARK = '\u{F0000}';
  let found = 0;
  const count = (text: string) => {
    found += text.split(MARK).length - 1;
  };
  const parser = new SaxesParser();
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('doctype', () => {
    throw new Error('a document type is not allowed');
  });
  parser.on('text', count);
  parser.on('opentag', (tag: SaxesTagPlain) => Object.values(tag.attributes).forEach(count));
  try {
    parser.write(replacePlaceholders(template, () => MARK)).close();
  } catch (thrown) {
    return `is not well-formed XML: ${messageOf(thrown)}`;
  }
  return found === placeholders(template).length
    ? undefined
    : 'a placeholder can stand in text or in an attribute value only, not in a name, a comment, CDATA or a processing instruction';
}

/**
 * An XML template without the attributes, and without the elements, of whose own text `absent` is true. "" when that is the
 * document element. `template`: one in which `xmlTemplateProblem` finds nothing.
 */
export function withoutAbsent(template: string, absent: (text: string) => boolean): string {
  if (!absent(template)) return template;
  const cuts: [from: number, to: number][] = [];
  const open: { from: number; gone: boolean }[] = [];
  const parser = new SaxesParser();
  parser.on('opentagstart', () => {
    open.push({ from: template.lastIndexOf('<', parser.position - 1), gone: false });
  });
  parser.on('opentag', () => {
    const { from } = open.at(-1) as (typeof open)[number];
    for (const match of template.slice(from, parser.position).matchAll(ATTRIBUTE))
      if (absent(match[0])) cuts.push([from + match.index, from + match.index + match[0].length]);
  });
  parser.on('text', (text) => {
    const top = open.at(-1);
    if (top && absent(text)) top.gone = true;
  });
  parser.on('closetag', () => {
    const { from, gone } = open.pop() as (typeof open)[number];
    if (gone) cuts.push([from, parser.position]);
  });
  parser.write(template).close();
  let kept = '';
  let at = 0;
  for (const [from, to] of cuts.sort((a, b) => a[0] - b[0] || b[1] - a[1])) {
    if (from < at) continue;
    kept += template.slice(at, from);
    at = to;
  }
  const rest = kept + template.slice(at);
  return /<[^?!]/.test(rest) ? rest : '';
}

const ATTRIBUTE = /\s+[^\s=<>"'/]+\s*=\s*(?:"[^"]*"|'[^']*')/g;
