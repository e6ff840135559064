// A report for people on a terminal.
import { printable } from '../../../core/printable.ts';
import { type Block, itemOf, type Line, plain, type Span, spans, type Table, type Tone } from './document.ts';

/** Colours a text; without colours it answers the text. */
export type Paint = (tone: Tone | 'heading' | 'code', text: string) => string;

const WIDEST_BAR = 40;

/** The lines of a report. */
export function terminal(blocks: readonly Block[], paint: Paint, indent = ''): string[] {
  return blocks.flatMap((block): string[] => {
    if ('heading' in block) {
      const text = paint('heading', printable(plain(block.heading)));
      return block.level === 1 ? [text, ''] : ['', `${indent}${text}`];
    }
    if ('text' in block) return [`${indent}${shown(block.text, paint)}`];
    if ('list' in block)
      return block.list
        .map(itemOf)
        .flatMap(({ line, below }) => [
          `${indent}  ${shown(line, paint)}`,
          ...(below === undefined ? [] : [`${indent}      ${paint('quiet', printable(below))}`]),
        ]);
    if ('table' in block) return table(block.table, paint).map((line) => `${indent}  ${line}`);
    if ('bars' in block) {
      const most = Math.max(1, ...block.bars.rows.map(({ value }) => value));
      const rows = block.bars.rows.map(({ label, value, tone }): Line[] => {
        const bar = '█'.repeat(value === 0 ? 0 : Math.max(1, Math.round((value / most) * WIDEST_BAR)));
        return [label, String(value), tone ? { tone, text: bar } : bar];
      });
      return table({ head: [], rows, right: [1] }, paint).map((line) => `${indent}  ${line}`);
    }
    if ('code' in block)
      return block.code
        .split('\n')
        .map((line) => `${indent}${coloured(printable(line), block.language, paint)}`.trimEnd());
    return [
      '',
      `${indent}${shown(block.details.summary, paint)}`,
      ...terminal(block.details.blocks, paint, `${indent}  `),
    ];
  });
}

function coloured(line: string, language: string, paint: Paint): string {
  if (language !== 'diff') return line;
  if (line.startsWith('+') && !line.startsWith('+++')) return paint('good', line);
  if (line.startsWith('-') && !line.startsWith('---')) return paint('bad', line);
  return line.startsWith('@@') ? paint('quiet', line) : line;
}

const shown = (line: Line, paint: Paint): string =>
  spans(line)
    .map((span) => piece(span, paint))
    .join('');

function piece(span: Span, paint: Paint): string {
  if (typeof span === 'string') return printable(span);
  const text = printable('code' in span ? span.code : span.text);
  if (span.tone) return paint(span.tone, text);
  return paint('code', text);
}

function table({ head, rows, right = [] }: Table, paint: Paint): string[] {
  const all = head.length > 0 ? [head, ...rows] : rows;
  const cells = all.map((row) => row.map((cell) => printable(plain(cell))));
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((row) => [...(row[i] ?? '')].length)));
  return all.map((row, at) =>
    row
      .map((cell, i) => {
        const gap = ' '.repeat(Math.max(0, (widths[i] ?? 0) - [...(cells[at]?.[i] ?? '')].length));
        const text = at === 0 && head.length > 0 ? paint('quiet', cells[at]?.[i] ?? '') : shown(cell, paint);
        return right.includes(i) ? gap + text : text + gap;
      })
      .join('  ')
      .trimEnd(),
  );
}
