// Reads one TypeScript file: what it imports, and how long its functions are.
import { parseSync, Visitor } from 'oxc-parser';

export interface Import {
  specifier: string;
  /** 1-based. */
  line: number;
  /** Only types are imported: nothing of it is there at run time. */
  isType: boolean;
}

export interface Source {
  lines: number;
  imports: Import[];
  /** The length of each function in lines. A returned function counts by itself and not as part of its factory. */
  functions: { name: string; line: number; lines: number }[];
}

interface Node {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}

/** Throws for text that is not TypeScript. */
export function readSource(file: string, text: string): Source {
  const { program, errors } = parseSync(file, text);
  if (errors[0]) throw new Error(`${file}: ${errors[0].message}`);
  const lineOf = lineNumbers(text);
  const imports: Import[] = [];
  const functions: Source['functions'] = [];
  const found = (source: Node | null, at: Node, isType: boolean) => {
    if (source?.type === 'Literal' && typeof source.value === 'string')
      imports.push({ specifier: source.value, line: lineOf(at.start), isType });
  };
  const measure = (node: Node) => {
    const first = lineOf(node.start);
    const own = lineOf(node.end) - first + 1 - returnedLines(node, lineOf);
    functions.push({ name: nameIn(text, node), line: first, lines: own });
  };
  new Visitor({
    ImportDeclaration: (node) => found(asNode(node.source), asNode(node), node.importKind === 'type'),
    ExportNamedDeclaration: (node) =>
      node.source && found(asNode(node.source), asNode(node), node.exportKind === 'type'),
    ExportAllDeclaration: (node) => found(asNode(node.source), asNode(node), node.exportKind === 'type'),
    ImportExpression: (node) => found(asNode(node.source), asNode(node), false),
    TSImportType: (node) => found(asNode(node.source), asNode(node), true),
    FunctionDeclaration: (node) => measure(asNode(node)),
    FunctionExpression: (node) => measure(asNode(node)),
    ArrowFunctionExpression: (node) => measure(asNode(node)),
  }).visit(program);
  return { lines: text.split('\n').length, imports, functions };
}

const asNode = (node: unknown): Node => node as Node;
const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);

/** Lines of functions that this one returns, alone or as members of an object. */
function returnedLines(node: Node, lineOf: (at: number) => number): number {
  const lines = new Set<number>();
  const add = ({ start, end }: Node) => {
    for (let line = lineOf(start); line <= lineOf(end); line++) lines.add(line);
  };
  const value = (returned: Node | null): void => {
    if (!returned) return;
    if (FUNCTIONS.has(returned.type)) add(returned);
    if (returned.type === 'ParenthesizedExpression') value(asNode(returned.expression));
    if (returned.type === 'ObjectExpression')
      for (const member of returned.properties as Node[]) if (isFunction(member)) add(member);
  };
  const body = asNode(node.body);
  if (body?.type !== 'BlockStatement') value(body);
  else for (const each of returns(body)) value(each);
  return lines.size;
}

const isFunction = (member: Node): boolean => FUNCTIONS.has((member.value as Node | undefined)?.type ?? '');

/** What the return statements of a function return, not those of functions inside it. */
function returns(node: Node): (Node | null)[] {
  if (FUNCTIONS.has(node.type)) return [];
  if (node.type === 'ReturnStatement') return [node.argument as Node | null];
  return Object.values(node).flatMap((child) => {
    if (Array.isArray(child)) return child.filter(isNode).flatMap(returns);
    return isNode(child) ? returns(child) : [];
  });
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** The name a reader would look for: that of the declaration, or of the variable the function is assigned to. */
function nameIn(text: string, node: Node): string {
  const own = (node.id as { name?: string } | null)?.name;
  const before = /(\w+)\s*(?::[^=]*)?(?:=|:|\()?\s*(?:async\s*)?$/.exec(
    text.slice(Math.max(0, node.start - 120), node.start),
  );
  return own ?? before?.[1] ?? 'a function';
}

function lineNumbers(text: string): (at: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (at) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] as number) <= at) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
