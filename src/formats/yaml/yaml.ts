// The only home of the yaml package. Reads a YAML file against a strict schema and reports every problem at once,
// each with file, line and path.
import {
  Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  parse as parsePlain,
  YAMLMap,
} from 'yaml';
import type { z } from 'zod';
import { type ExpandedValue, expandValue, keyNamed, keyOf } from './expand.ts';
import { flatten, type Issue, valueAt, wantedTypes } from './issues.ts';
import { hideReferences, shownReferences, withoutValues } from './references.ts';

/** One problem in a file. `line` counts from 1; 0 means the file as a whole. */
export interface Problem {
  file: string;
  line: number;
  path: string;
  message: string;
}

/** The checked value, with `at` to find the line of a path in the file, or all problems. */
export type YamlResult<T> =
  | { ok: true; value: T; at: (path: PropertyKey[]) => number }
  | { ok: false; problems: Problem[] };

/** How to read a YAML file. */
export interface YamlOptions {
  /** Name of the file in problems. */
  file: string;
  /** When given, references to environment variables in any scalar are replaced; see references.ts. */
  env?: NodeJS.ProcessEnv;
  /** Variables that are not set are no problem: whatever is wanted there is taken to be in them. */
  open?: boolean;
}

/** A file that was read and not checked yet. */
export interface YamlRead extends ExpandedValue {
  file: string;
  /** The line of the key at the end of a path, or of the nearest parent that exists. */
  lineOf(path: PropertyKey[]): number;
}

export { keyOf, withoutValues as told };

/**
 * Parses `text` and checks it against `schema`. Duplicate keys, aliases that expand without bound, and tabs are
 * problems, too.
 */
export function parseYaml<T>(text: string, schema: z.ZodType<T>, options: YamlOptions): YamlResult<T> {
  const read = readYaml(text, options);
  if (!read.ok) return read;
  const checked = checkYaml(read.read, schema);
  return checked.ok ? { ...checked, at: read.read.lineOf } : checked;
}

/** Reads a file without a schema. What follows from one slip of the syntax is not told again and again. */
export function readYaml(
  text: string,
  { file, env, open = false }: YamlOptions,
): { ok: true; read: YamlRead } | { ok: false; problems: Problem[] } {
  const failed = (line: number, message: string): Problem => ({ file, line, path: '', message });
  const hidden = env ? hideReferences(text) : text;
  if (hidden === undefined)
    return { ok: false, problems: [failed(0, 'has characters from U+E020 to U+E07E, which are not allowed here')] };
  const lines = new LineCounter();
  const document = parseDocument<ParsedNode>(hidden, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const errors = [...document.errors, ...document.warnings];
  const twice = errors.filter(({ code }) => code === 'DUPLICATE_KEY');
  const syntax = twice.length > 0 ? twice : errors.slice(0, 1);
  if (syntax.length > 0)
    return {
      ok: false,
      problems: syntax.map((e) => failed(lines.linePos(e.pos[0]).line, shownReferences(e.message))),
    };

  const lineOf = (path: PropertyKey[]): number => {
    for (let depth = path.length; depth > 0; depth--) {
      const parent = document.getIn(path.slice(0, depth - 1), true);
      const last = path[depth - 1];
      const pair = isMap(parent)
        ? parent.items.find(({ key }) => isScalar(key) && keyNamed(String(key.value), env, open).text === String(last))
        : undefined;
      const node = pair?.key ?? (isSeq(parent) && typeof last === 'number' ? parent.items[last] : undefined);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  };
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: 50 });
  } catch (thrown) {
    return { ok: false, problems: [failed(1, thrown instanceof Error ? thrown.message : String(thrown))] };
  }
  const expanded = expandValue(raw, env, open);
  return { ok: true, read: { file, lineOf, ...expanded } };
}

/**
 * Checks what was read. A value that is a variable as a whole gets the type that the schema wants there; where it wants
 * none, it is text. `whole`: false where something was left open and could not be guessed, so that the value has not the
 * shape of the schema. `at`: where a path stands, where several files were read as one.
 */
export function checkYaml<T>(
  read: YamlRead,
  schema: z.ZodType<T>,
  at = (path: PropertyKey[]) => ({ file: read.file, line: read.lineOf(path) }),
): { ok: true; value: T; whole: boolean } | { ok: false; problems: Problem[] } {
  const { raw, variables, references, open, unset } = read;
  let checked = schema.safeParse(raw);
  const misfits: Issue[] = [];
  // A choice may want another type only when a first value has got its own, so it is looked at again.
  for (let again = true; again && !checked.success; ) {
    again = false;
    misfits.length = 0;
    for (const { path, value, type } of wantedTypes(checked.error.issues, raw)) {
      const origin = variables.get(keyOf(path));
      if (origin === undefined || typeof valueAt(raw, path) !== 'string') continue;
      if (value === undefined) misfits.push({ path, message: `${origin} is no ${type}` });
      else {
        setAt(raw, path, value);
        again = true;
      }
    }
    if (again) checked = schema.safeParse(raw);
  }
  if (!checked.success) checked = withGuesses(read, schema, checked);
  const missing = new Set([...open, ...unset.map(({ path }) => keyOf(path))]);
  const said = [...unset, ...misfits.filter(({ path }) => !missing.has(keyOf(path)))];
  const known = new Set(said.map(({ path }) => keyOf(path)));
  const issues = [
    ...said,
    ...(checked.success
      ? []
      : flatten(checked.error.issues, raw).filter(({ path }) => !known.has(keyOf(path)) && !isOpen(read, path))),
  ];
  // What is left open can be anything, so where only that does not fit the schema nothing is known to be wrong.
  if (issues.length === 0)
    return { ok: true, value: (checked.success ? checked.data : raw) as T, whole: checked.success };
  const problems = issues.map(({ path, message }) => {
    const written = known.has(keyOf(path)) ? undefined : references.get(keyOf(path));
    return {
      ...at(path),
      path: shownPath(path, read.values),
      message: withoutValues(message, read.values) + (written === undefined ? '' : ` (it comes from ${written})`),
    };
  });
  return { ok: false, problems: sorted(problems) };
}

/** A path as it may be shown: without values of variables. */
export const shownPath = (path: readonly PropertyKey[], values: ReadonlyMap<string, string>): string =>
  path.map((key) => withoutValues(String(key), values)).join('.');

/** Whether a path is, or leads to, a value that was left open. */
export function isOpen({ open }: YamlRead, path: readonly PropertyKey[]): boolean {
  const key = keyOf(path);
  return [...open].some((left) => left === key || left.startsWith(`${key}\0`));
}

/** File by file, in the order of their lines. */
export const sorted = (problems: Problem[]): Problem[] =>
  problems.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));

/** What may stand in a variable that is not known: one of these is what most schemas take. */
const GUESSES = ['http://127.0.0.1:1', 1, true, '127.0.0.1', 'a'];

/** Puts guesses in for variables that were left open, where their names are not what the schema wants. */
function withGuesses<T>(
  { raw, open }: YamlRead,
  schema: z.ZodType<T>,
  first: z.ZodSafeParseResult<T>,
): z.ZodSafeParseResult<T> {
  let checked = first;
  for (let tries = 0; !checked.success && tries < open.size * GUESSES.length; tries++) {
    const at = flatten(checked.error.issues, raw).find(({ path }) => open.has(keyOf(path)));
    if (!at) break;
    const before = GUESSES.indexOf(valueAt(raw, at.path) as never);
    if (before === GUESSES.length - 1) break;
    setAt(raw, at.path, GUESSES[before + 1]);
    checked = schema.safeParse(raw);
  }
  return checked;
}

function setAt(raw: unknown, path: PropertyKey[], value: unknown): void {
  const parent = valueAt(raw, path.slice(0, -1)) as Record<PropertyKey, unknown>;
  parent[path.at(-1) as PropertyKey] = value;
}

/** Parses JSON or YAML to plain data. Throws the error of the parser. */
export function parseData(text: string): unknown {
  const plain = text.replace(/^\uFEFF/, '');
  if (/^\s*[{[]/.test(plain)) {
    try {
      return JSON.parse(plain);
    } catch {
      // It begins like JSON but is YAML in flow style.
    }
  }
  return parsePlain(plain, { maxAliasCount: 1000, merge: true, logLevel: 'error' });
}

/** Escapes `${` in every string, so that reading the file does not replace it by an environment variable. */
function unexpanded(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', '$$${');
  if (Array.isArray(value)) return value.map(unexpanded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [unexpanded(key), unexpanded(item)]));
}

/**
 * Writes tables as YAML for a connector.yaml, each entry with its comments above it. Values that occur twice are
 * written twice, without anchors.
 */
export function toYaml(tables: Record<string, { key: string; value: unknown; comments: string[] }[]>): string {
  const document = new Document({}, { aliasDuplicateObjects: false });
  for (const [name, entries] of Object.entries(tables)) {
    const table = new YAMLMap();
    entries.forEach(({ key, value, comments }, i) => {
      const pair = document.createPair(key, unexpanded(value));
      pair.key.spaceBefore = i > 0;
      if (comments.length > 0)
        pair.key.commentBefore = comments.map((line) => ` ${line.replace(/\s+/g, ' ')}`).join('\n');
      table.add(pair);
    });
    document.set(name, table);
  }
  return document.toString({ lineWidth: 110 });
}

/** Writes plain data as YAML. What is undefined is left out. */
export const toPlainYaml = (value: unknown): string =>
  new Document(JSON.parse(JSON.stringify(value)), { aliasDuplicateObjects: false }).toString({ lineWidth: 110 });

/** Writes a problem as one line of text: `connector.yaml:12 tools.stock_get.effect: …`. */
export function formatProblem(p: Problem): string {
  const where = p.line > 0 ? `${p.file}:${p.line}` : p.file;
  return p.path ? `${where} ${p.path}: ${p.message}` : `${where} ${p.message}`;
}
