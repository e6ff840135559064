// References to environment variables in a text that is parsed afterwards: `${NAME}`, `${NAME:-default}`, and `$${` for the
// text itself. Before the text is parsed each reference is written in characters that mean nothing to any format, so that
// it is a part of a scalar wherever it stands, and its value is never read as YAML.

/** Printable ASCII is moved here, into the private use area of Unicode. */
const MOVED = 0xe000;
const REFERENCE = /\$?\$\{[^}\n]*\}/g;
const HIDDEN = /[\uE020-\uE07E]/g;
const HIDDEN_REFERENCE = /(\uE024?)\uE024\uE07B([^\uE07D]*)\uE07D/g;
const UNCLOSED = /(?<!\$)\$\{/;
const INSIDE = /^([A-Za-z_]\w*)(?::-((?:(?!\$\{).)*))?$/s;

/** What became of the references in one text. */
export interface Expanded {
  text: string;
  /**
   * Where the text is one reference as a whole, so that its type can be chosen: what its value comes from, as messages name
   * it (the variable, or the default that stands there).
   */
  whole: string | undefined;
  /** Every variable that it refers to. */
  names: string[];
  /** The values of variables, each with the reference to it. */
  values: [value: string, reference: string][];
  problems: string[];
  /** Whether a variable that is not set was left open, because `open` was asked for. */
  open: boolean;
}

/** Hides each reference. Answers undefined where the text has hidden characters already. The length stays the same. */
export function hideReferences(text: string): string | undefined {
  HIDDEN.lastIndex = 0;
  if (HIDDEN.test(text)) return undefined;
  return text.replaceAll(REFERENCE, (reference) =>
    reference.replace(/[ -~]/g, (one) => String.fromCharCode(MOVED + one.charCodeAt(0))),
  );
}

/** The text as it was written. */
export const shownReferences = (text: string): string =>
  text.replaceAll(HIDDEN, (one) => String.fromCharCode(one.charCodeAt(0) - MOVED));

/**
 * Puts the values in. A variable that is not set, or is empty, gives its default. `open`: one that has none is no problem,
 * and stands as its name, so that a configuration can be checked where its values are not.
 */
export function expandReferences(text: string, env: NodeJS.ProcessEnv, open = false): Expanded {
  const problems: string[] = [];
  let left = false;
  let whole: string | undefined;
  const names: string[] = [];
  const values: Expanded['values'] = [];
  const replaced = (hidden: string, escaped: string, inside: string): string => {
    const shown = shownReferences(hidden);
    if (escaped) return shown.slice(1);
    const [, name, otherwise] = INSIDE.exec(shownReferences(inside)) ?? [];
    if (name === undefined) {
      problems.push(`${shown} is no reference: write \${NAME} or \${NAME:-default}, or $${shown} for the text itself`);
      return '';
    }
    names.push(name);
    const value = env[name];
    const given = value !== undefined && (value !== '' || otherwise === undefined);
    if (hidden.length === text.length)
      whole = given || otherwise === undefined ? `the environment variable ${name}` : `the default in ${shown}`;
    if (given) {
      if (value !== '') values.push([value, `\${${name}}`]);
      return value;
    }
    if (otherwise === undefined && open) {
      left = true;
      return name;
    }
    if (otherwise === undefined)
      problems.push(`the environment variable ${name} is not set; set it or write $\${${name}} for the text itself`);
    return otherwise ?? '';
  };
  // Only what stood in the file is shown again, not what comes out of a variable.
  let [expanded, done] = ['', 0];
  const asItStands = (part: string): string => {
    if (UNCLOSED.test(part)) problems.push('"${" has no "}" in the same line; write $${ for the text itself');
    return shownReferences(part).replaceAll('$${', '${');
  };
  for (const match of text.matchAll(HIDDEN_REFERENCE)) {
    expanded += asItStands(text.slice(done, match.index)) + replaced(match[0], match[1] ?? '', match[2] ?? '');
    done = match.index + match[0].length;
  }
  return { text: expanded + asItStands(text.slice(done)), whole, names, values, problems, open: left };
}

/** Shorter values of variables occur in any text, and are replaced only where they are all of it. */
const SHORTEST = 4;

/** The text with references in place of the values of variables: what came from a variable may be a secret. */
export function withoutValues(text: string, values: ReadonlyMap<string, string>): string {
  const whole = values.get(text);
  if (whole !== undefined) return whole;
  const longest = [...values.keys()].filter(({ length }) => length >= SHORTEST).sort((a, b) => b.length - a.length);
  if (longest.length === 0) return text;
  const any = new RegExp(longest.map((value) => value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'), 'g');
  return text.replace(any, (value) => values.get(value) as string);
}
