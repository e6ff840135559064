// A report as one page of HTML that needs nothing else: no script, no font and no picture from anywhere, and a policy of its own
// (Content-Security-Policy) under which none would be loaded. It can be read from a disk or from the artifacts of a build.
import { printable } from '../../../core/printable.ts';
import {
  type Bars,
  type Block,
  itemOf,
  type Line,
  plain,
  type Span,
  spans,
  type Table,
  type Tone,
} from './document.ts';

export function html(title: string, blocks: readonly Block[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${blocks.map(blockOf).join('\n')}
</main>
</body>
</html>
`;
}

const STYLE = `
:root { --ink: #1c2024; --soft: #60646c; --line: #d9d9e0; --page: #ffffff; --panel: #f6f6f8; --bad: #c62a2f; --warn: #946800; --good: #18794e; --bar: #5b7fb9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edeef0; --soft: #b0b4ba; --line: #363a3f; --page: #111113; --panel: #1b1c1f; --bad: #ff9592; --warn: #ffca16; --good: #3dd68c; --bar: #70b8ff; }
}
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
table { border-collapse: collapse; margin: .6rem 0; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
td code { white-space: nowrap; }
.right { text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
code { background: var(--panel); padding: .05rem .3rem; border-radius: .2rem; overflow-wrap: anywhere; }
pre { background: var(--panel); padding: .8rem; overflow-x: auto; border-radius: .3rem; }
.bad { color: var(--bad); } .warn { color: var(--warn); } .good { color: var(--good); } .quiet { color: var(--soft); }
svg text { font: 13px system-ui, sans-serif; fill: currentColor; }
summary { cursor: pointer; }
details { margin: .6rem 0; }
`;

function blockOf(block: Block): string {
  if ('heading' in block) return `<h${block.level}>${lineOf(block.heading)}</h${block.level}>`;
  if ('text' in block) return `<p>${lineOf(block.text)}</p>`;
  if ('list' in block) return `<ul>${block.list.map(itemOf).map(itemHtml).join('')}</ul>`;
  if ('table' in block) return tableOf(block.table);
  if ('bars' in block) return barsOf(block.bars);
  if ('code' in block)
    return `<pre>${block.code
      .split('\n')
      .map((line) => codeLine(line, block.language))
      .join('\n')}</pre>`;
  const { summary, blocks } = block.details;
  return `<details><summary>${lineOf(summary)}</summary>\n${blocks.map(blockOf).join('\n')}\n</details>`;
}

const itemHtml = ({ line, below }: ReturnType<typeof itemOf>): string =>
  `<li>${lineOf(line)}${below === undefined ? '' : `<br><small class="quiet">${escaped(below)}</small>`}</li>`;

function codeLine(line: string, language: string): string {
  const text = escaped(line);
  if (language !== 'diff') return text;
  const tone = /^\+(?!\+\+)/.test(line)
    ? 'good'
    : /^-(?!--)/.test(line)
      ? 'bad'
      : line.startsWith('@@')
        ? 'quiet'
        : undefined;
  return tone ? `<span class="${tone}">${text}</span>` : text;
}

const lineOf = (line: Line): string => spans(line).map(pieceOf).join('');

function pieceOf(span: Span): string {
  if (typeof span === 'string') return escaped(span);
  const tone = span.tone ? ` class="${span.tone}"` : '';
  if ('code' in span) return `<code${tone}>${escaped(span.code)}</code>`;
  return `<span${tone}>${escaped(span.text)}</span>`;
}

const escaped = (text: string): string => printable(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

function tableOf({ head, rows, right = [] }: Table): string {
  const row = (cells: readonly Line[], tag: string) =>
    `<tr>${cells.map((cell, i) => `<${tag}${right.includes(i) ? ' class="right"' : ''}>${lineOf(cell)}</${tag}>`).join('')}</tr>`;
  const top = head.length > 0 ? `<thead>${row(head, 'th')}</thead>` : '';
  return `<table>${top}<tbody>${rows.map((cells) => row(cells, 'td')).join('')}</tbody></table>`;
}

/** Sizes of a chart, in pixels. */
const [ROW, LABEL, BAR, NUMBER] = [24, 260, 460, 90];
const LONGEST_LABEL = 38;

function barsOf({ title, rows }: Bars): string {
  const most = Math.max(1, ...rows.map(({ value }) => value));
  const bars = rows.map(({ label, value, tone }, i) => {
    const y = i * ROW;
    const width = value === 0 ? 0 : Math.max(2, Math.round((value / most) * BAR));
    const short = [...label].length > LONGEST_LABEL ? `${[...label].slice(0, LONGEST_LABEL - 1).join('')}…` : label;
    return `<text x="${LABEL - 8}" y="${y + 16}" text-anchor="end">${escaped(short)}</text><rect x="${LABEL}" y="${y + 4}" width="${width}" height="16" fill="var(--${fill(tone)})"><title>${escaped(label)}: ${value}</title></rect><text x="${LABEL + width + 6}" y="${y + 16}">${value}</text>`;
  });
  const height = rows.length * ROW;
  return `<figure><svg role="img" aria-label="${escaped(plain(title))}" viewBox="0 0 ${LABEL + BAR + NUMBER} ${height}" width="${LABEL + BAR + NUMBER}" height="${height}" style="max-width:100%">${bars.join('')}</svg></figure>`;
}

const fill = (tone: Tone | undefined): string => (tone === undefined || tone === 'quiet' ? 'bar' : tone);
