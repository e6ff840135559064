// A report as a list of blocks, written once and shown in three ways: on a terminal, as Markdown, as a page of HTML. Texts in it
// come from logs, policies and Git, so each way of showing escapes all of them.

/** How a text is meant: what loosens, what tightens, what is fine, what is beside the point. */
export type Tone = 'good' | 'bad' | 'warn' | 'quiet';

/** A piece of a line. `code`: a name or a value, shown as it is written. */
export type Span = string | { code: string; tone?: Tone } | { text: string; tone: Tone };
export type Line = Span | readonly Span[];

export interface Table {
  head: readonly Line[];
  rows: readonly (readonly Line[])[];
  /** Columns of numbers. */
  right?: readonly number[];
}

/** A bar for each row; the longest is as wide as there is room. */
export interface Bars {
  title: string;
  rows: readonly { label: string; value: number; tone: Tone | undefined }[];
}

/** An item of a list, and what stands below it in smaller letters. */
export type Item = Line | { line: Line; below: string };

export type Block =
  | { heading: Line; level: 1 | 2 | 3 }
  | { text: Line }
  | { list: readonly Item[] }
  | { table: Table }
  | { bars: Bars }
  | { code: string; language: 'diff' | 'text' }
  | { details: { summary: Line; blocks: readonly Block[] } };

export const itemOf = (item: Item): { line: Line; below: string | undefined } =>
  typeof item === 'object' && 'below' in item ? item : { line: item as Line, below: undefined };

export const spans = (line: Line): readonly Span[] =>
  Array.isArray(line) ? (line as readonly Span[]) : [line as Span];

/** The text of a line, without its form. */
export const plain = (line: Line): string =>
  spans(line)
    .map((span) => (typeof span === 'string' ? span : 'code' in span ? span.code : span.text))
    .join('');

export const code = (text: string, tone?: Tone): Span => (tone ? { code: text, tone } : { code: text });
export const toned = (tone: Tone, text: string): Span => ({ tone, text });

/** "1 decision", "10,000 decisions". */
export const counted = (count: number, noun: string): string =>
  `${number(count)} ${count === 1 ? noun : noun.endsWith('y') && !/[aeo]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;

/** A whole number with commas between thousands, the same on every machine. */
export const number = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ',');

/** A part of a whole in words; never 0 % of something, nor 100 % of nearly all. */
export function share(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %';
  const percent = (part / whole) * 100;
  if (part < whole && percent > 99.9) return '99.9 %';
  return percent < 0.1
    ? '< 0.1 %'
    : `${percent >= 10 || percent === Math.round(percent) ? Math.round(percent) : percent.toFixed(1)} %`;
}
