// A report as Markdown, for the description of a pull request (CommonMark, with the tables and <details> that the common forges
// show). No text of a policy or log becomes markup, a link or a mention.
import { printable } from '../../../core/printable.ts';
import { type Block, itemOf, type Line, type Span, spans, type Table } from './document.ts';

/** A comment on a forge takes 65,536 characters. */
const LONGEST_CODE = 20_000;

export function markdown(blocks: readonly Block[]): string {
  return `${blocks.map(blockOf).join('\n\n')}\n`;
}

function blockOf(block: Block): string {
  if ('heading' in block) return `${'#'.repeat(block.level + 1)} ${lineOf(block.heading)}`;
  if ('text' in block) return lineOf(block.text);
  if ('list' in block)
    return block.list
      .map(itemOf)
      .map(({ line, below }) => `- ${lineOf(line)}${below === undefined ? '' : `  \n  ${escaped(below)}`}`)
      .join('\n');
  if ('table' in block) return tableOf(block.table);
  if ('bars' in block) {
    const rows = block.bars.rows.map(({ label, value }): Line[] => [label, String(value)]);
    return tableOf({ head: [block.bars.title, ''], rows, right: [1] });
  }
  if ('code' in block) return fenced(block.code, block.language);
  const { summary, blocks } = block.details;
  return `<details><summary>${lineOf(summary)}</summary>\n\n${blocks.map(blockOf).join('\n\n')}\n\n</details>`;
}

const lineOf = (line: Line): string => spans(line).map(pieceOf).join('');

function pieceOf(span: Span): string {
  if (typeof span === 'string') return escaped(span);
  if ('code' in span) return codeSpan(span.code);
  return span.tone === 'bad' ? `**${escaped(span.text)}**` : escaped(span.text);
}

/** Each sign that can begin markup is written so that it does not. */
const escaped = (text: string): string =>
  apart(printable(text)).replace(/[\\`*{}[\]<>#|@~&!$]|(?<!\w)_|_(?!\w)/g, (sign) => `&#${sign.charCodeAt(0)};`);

/**
 * Forges look for mentions, addresses, numbers of issues and pictures in the text that is shown, however it was written. A space
 * of no width behind the sign that begins one keeps them apart.
 */
const apart = (text: string): string =>
  text.replace(/[@#$]|\bwww(?=\.)|\b(GH|gh)(?=-\d)|:(?=\/\/|[a-z+_-][\w+-]*:|100:|1234:)/g, '$&\u200b');

/** A span of code needs a longer fence than any inside. In a table a bar would end the cell, in whatever it stands. */
function codeSpan(text: string): string {
  const line = printable(text);
  if (line.trim() === '') return '` `';
  if (/[|]/.test(line)) return `<code>${escaped(line)}</code>`;
  const longest = Math.max(0, ...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  const pad = longest > 0 ? ' ' : '';
  return `${fence}${pad}${line}${pad}${fence}`;
}

function tableOf({ head, rows, right = [] }: Table): string {
  const columns = head.length || (rows[0]?.length ?? 0);
  const line = (cells: readonly Line[]) => `| ${cells.map((cell) => lineOf(cell) || ' ').join(' | ')} |`;
  const heads = head.length > 0 ? head : Array.from({ length: columns }, () => ' ');
  const rule = `|${Array.from({ length: columns }, (_, i) => (right.includes(i) ? '---:' : '---')).join('|')}|`;
  return [line(heads), rule, ...rows.map(line)].join('\n');
}

function fenced(text: string, language: string): string {
  const code = text.split('\n').map(printable).join('\n');
  const longest = Math.max(2, ...(code.match(/`{3,}/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  const cut =
    code.length > LONGEST_CODE
      ? `${code.slice(0, LONGEST_CODE)}\n… ${code.length - LONGEST_CODE} more characters`
      : code;
  return `${fence}${language}\n${cut}\n${fence}`;
}
