// The comment that stands beside a key: on the lines right above it, or behind it on its line.
import { readYaml } from './yaml.ts';

/**
 * Reads a file and answers the comment at a path, as text on one line; undefined where there is none. A key that is not there, or
 * a file that is no YAML, has none. A comment between two keys belongs to the one below it.
 */
export function commentsOf(text: string): (path: readonly string[]) => string | undefined {
  const read = readYaml(text, { file: '' });
  if (!read.ok) return () => undefined;
  const { raw, lineOf } = read.read;
  const lines = text.split(/\r?\n/);
  return (path) => (has(raw, path) ? commentIn(lines, path, lineOf) : undefined);
}

function commentIn(
  lines: readonly string[],
  path: readonly string[],
  lineOf: (path: PropertyKey[]) => number,
): string | undefined {
  const at = lineOf([...path]) - 1;
  // A table on one line has the comment of its key, which is asked for apart.
  if (path.length > 1 && lineOf(path.slice(0, -1)) - 1 === at) return undefined;
  const above: string[] = [];
  for (let i = at - 1; i >= 0; i--) {
    const comment = /^\s*#(?!\s{2})\s?(.*)$/.exec(lines[i] ?? '');
    // An example that is commented out is indented further, as in "#  name: value".
    if (!comment) break;
    above.unshift(comment[1] ?? '');
  }
  const behind = /\s#\s(.*)$/.exec(lines[at] ?? '')?.[1];
  const found = [...above, ...(behind === undefined ? [] : [behind])]
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return found.length === 0 ? undefined : found.join(' ');
}

function has(value: unknown, path: readonly string[]): boolean {
  let inside = value;
  for (const name of path) {
    if (typeof inside !== 'object' || inside === null || !Object.hasOwn(inside, name)) return false;
    inside = (inside as Record<string, unknown>)[name];
  }
  return true;
}
