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
  visit,
  YAMLMap,
} from 'yaml';
import type { z } from 'zod';

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
  /** When given, `${NAME}` in any string is replaced by that variable, and `$${` is a literal `${`. */
  env?: NodeJS.ProcessEnv;
}

/**
 * Parses `text` and checks it against `schema`. Duplicate keys, aliases that expand without bound, and tabs are
 * problems, too.
 */
export function parseYaml<T>(text: string, schema: z.ZodType<T>, options: YamlOptions): YamlResult<T> {
  const { file } = options;
  const lines = new LineCounter();
  const document = parseDocument<ParsedNode>(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const problem = (line: number, path: PropertyKey[], message: string): Problem => ({
    file,
    line,
    path: path.map(String).join('.'),
    message,
  });
  const syntax = [...document.errors, ...document.warnings].map((e) =>
    problem(lines.linePos(e.pos[0]).line, [], e.message),
  );
  if (syntax.length > 0) return { ok: false, problems: syntax };

  /** The line of the key at the end of a path, or of the nearest parent that exists. */
  const lineOf = (path: PropertyKey[]): number => {
    for (let depth = path.length; depth > 0; depth--) {
      const parent = document.getIn(path.slice(0, depth - 1), true);
      const last = path[depth - 1];
      const pair = isMap(parent)
        ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(last))
        : undefined;
      const node = pair?.key ?? (isSeq(parent) && typeof last === 'number' ? parent.items[last] : undefined);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  };

  const expansion: Problem[] = [];
  if (options.env) {
    const env = options.env;
    visit(document, {
      Scalar(_key, node) {
        if (typeof node.value !== 'string') return;
        const before = node.value;
        node.value = node.value.replaceAll(/(\$?)\$\{([^}]*)\}/g, (whole, escaped: string, name: string) => {
          if (escaped) return whole.slice(1);
          const value = env[name];
          if (value !== undefined) return value;
          const line = node.range ? lines.linePos(node.range[0]).line : 1;
          expansion.push(
            problem(
              line,
              [],
              `the environment variable ${name} is not set; set it or write $\${${name}} for the text itself`,
            ),
          );
          return '';
        });
        // Without quotes, a number stays a number: `port: ${PORT}`.
        if (node.type === 'PLAIN' && node.value !== before && /^-?\d{1,15}$/.test(String(node.value))) {
          node.value = Number(node.value);
        }
      },
    });
  }
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: 50 });
  } catch (thrown) {
    return { ok: false, problems: [problem(1, [], thrown instanceof Error ? thrown.message : String(thrown))] };
  }
  const checked = schema.safeParse(raw);
  const problems = [...expansion];
  if (!checked.success)
    problems.push(...flatten(checked.error.issues, raw).map((i) => problem(lineOf(i.path), i.path, i.message)));
  if (problems.length > 0) return { ok: false, problems: problems.sort((a, b) => a.line - b.line) };
  return { ok: true, value: checked.data as T, at: lineOf };
}

type Issue = { path: PropertyKey[]; message: string };

/** Reports each unknown key on its own line and, for a choice, only the branch that came closest. */
function flatten(issues: readonly z.core.$ZodIssue[], raw: unknown, parent: PropertyKey[] = []): Issue[] {
  return issues.flatMap((issue): Issue[] => {
    const path = [...parent, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...path, key], message: `unknown key "${key}"` }));
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map((inner) => ({ path, message: `this name is not allowed: ${inner.message}` }));
    }
    if (issue.code === 'invalid_union' && issue.errors.length > 0) {
      const branches = issue.errors.map((errors) => flatten(errors, raw, path));
      const closest = branches.filter(
        (b) => !b.some((i) => i.path.length === path.length && i.message.startsWith('Invalid input: expected')),
      );
      return closest[0] ?? branches.sort((a, b) => a.length - b.length)[0] ?? [];
    }
    // For a missing key, the message of zod speaks of its type or its choices, so it is reworded.
    if (valueAt(raw, path) !== undefined || !/^Invalid (input|option): expected /.test(issue.message))
      return [{ path, message: issue.message }];
    const expected = issue.message.replace(/^Invalid \w+: expected (.*?)(, received undefined)?$/, '$1');
    return [{ path, message: `is missing (${expected})` }];
  });
}

const valueAt = (value: unknown, [key, ...rest]: PropertyKey[]): unknown => {
  if (key === undefined) return value;
  const inside = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
  return inside ? valueAt((value as Record<PropertyKey, unknown>)[key], rest) : undefined;
};

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

/** Writes a problem as one line of text: `connector.yaml:12 tools.stock_get.effect: …`. */
export function formatProblem(p: Problem): string {
  const where = p.line > 0 ? `${p.file}:${p.line}` : p.file;
  return p.path ? `${where} ${p.path}: ${p.message}` : `${where} ${p.message}`;
}
