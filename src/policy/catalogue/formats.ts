// The catalogue as Markdown and as CSV (RFC 4180).
import { type Block, code, type Line } from '../report/document/document.ts';
import { markdown } from '../report/document/markdown.ts';
import type { CatalogueEntry } from './catalogue.ts';

const WORDS = { shipped: 'shipped rules', site: 'rules of the site', connector: 'the connector' };

export function catalogueMarkdown(entries: readonly CatalogueEntry[], revision: string): string {
  const blocks: Block[] = [
    { heading: 'Reason codes', level: 1 },
    {
      text: [
        'Every reason that a decision can have under the policy of revision ',
        code(revision),
        ', and every refusal of the connector.',
      ],
    },
  ];
  for (const by of ['site', 'shipped', 'connector'] as const) {
    const own = entries.filter((each) => each.by === by);
    if (own.length === 0) continue;
    blocks.push({ heading: `Given by ${WORDS[by]}`, level: 2 });
    const rows = own.map((each): Line[] => [
      code(each.code),
      each.titles.join('; '),
      each.controls.join(', '),
      each.settings.join(', '),
      String(each.tests.length),
    ]);
    if (by === 'connector')
      blocks.push({ table: { head: ['code', 'meaning'], rows: rows.map((row) => row.slice(0, 2)) } });
    else blocks.push({ table: { head: ['code', 'meaning', 'controls', 'settings', 'tests'], rows, right: [4] } });
  }
  return markdown(blocks);
}

const COLUMNS = ['code', 'by', 'titles', 'descriptions', 'controls', 'settings', 'rules', 'tests'] as const;

export function catalogueCsv(entries: readonly CatalogueEntry[]): string {
  const rows = entries.map((each) => COLUMNS.map((column) => cell([each[column]].flat().join('; '))).join(','));
  return `${[COLUMNS.join(','), ...rows].join('\r\n')}\r\n`;
}

/** A spreadsheet takes a cell that begins with one of these signs for a formula. */
const cell = (text: string): string => {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
