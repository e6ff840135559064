// The access matrix as a sorted text that Git compares well: one paragraph for each answer, and below it the tools that have it,
// one on a line. A change of who may call a tool moves the line of that tool.
import { jsonLine, printable } from '../../core/printable.ts';
import type { AccessMatrix, Cell } from './ask.ts';
import type { MatrixTool } from './ordinary.ts';

/** Name of the file in the policy folder. */
export const MATRIX_FILE = 'access-matrix.txt';

const HEAD = `# Who may call what: what the compiled policy says to an ordinary call of each role to each tool (in a session in use, from
# its own network, at a moderate rate). Written by "sallyport policy matrix"; "sallyport policy check" fails when it is out of
# date. Rules about arguments, claims, users and past calls come in addition, and can only be seen with the call.
`;
const NO_ROLE = '(no role)';
const NOBODY = 'nobody';
const EVERYBODY = 'everybody';
const WORDS = [NOBODY, EVERYBODY];

/** The text of the file. */
export function matrixText(matrix: AccessMatrix): string {
  const paragraphs = new Map<string, MatrixTool[]>();
  for (const tool of matrix.tools) {
    const answer = answerOf(matrix, tool);
    paragraphs.set(answer, [...(paragraphs.get(answer) ?? []), tool]);
  }
  const widths = [0, 1].map((i) =>
    Math.max(0, ...matrix.tools.map(({ name, backend }) => ([name, backend || '?'][i] as string).length)),
  ) as [number, number];
  const body = [...paragraphs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([answer, tools]) => `${answer}\n${tools.map((tool) => toolLine(tool, widths)).join('\n')}\n`);
  const roles = `roles: ${matrix.roles.map(shownRole).join(', ')}\n`;
  return [HEAD, roles, ...body].join('\n');
}

const toolLine = ({ name, backend, effect }: MatrixTool, [first, second]: [number, number]): string =>
  `    ${name.padEnd(first)}  ${(backend || '?').padEnd(second)}  ${effect}`;

/** A role may have any name. */
const shownRole = (role: string): string =>
  role === '' ? NO_ROLE : /^[\w.:@/+-]+$/.test(role) && !WORDS.includes(role) ? role : jsonLine(role);

function readRole(text: string): string {
  if (text === NO_ROLE) return '';
  return text.startsWith('"') ? String(JSON.parse(text)) : text;
}

/** A line for each answer that some roles get; roles that get the same are on one line. */
function answerOf({ roles, cells }: AccessMatrix, { name }: MatrixTool): string {
  const row = cells.get(name) as ReadonlyMap<string, Cell>;
  const byAnswer = new Map<string, string[]>();
  for (const role of roles) {
    const words = cellWords(row.get(role) as Cell);
    if (words !== undefined) byAnswer.set(words, [...(byAnswer.get(words) ?? []), shownRole(role)]);
  }
  if (byAnswer.size === 0) return NOBODY;
  return [...byAnswer]
    .map(
      ([words, names]) =>
        `${names.length === roles.length ? EVERYBODY : names.sort().join(', ')}${words === '' ? '' : `: ${words}`}`,
    )
    .sort()
    .join('\n');
}

/** What a role that may call a tool must bring, and does not get; undefined where it may not. */
export function cellWords({ outcome, needs, trims }: Cell): string | undefined {
  if (outcome === 'deny') return undefined;
  const needed = needs.length === 0 ? [] : [`with ${needs.join(' and ')}`];
  return printable([...needed, ...trims, ...(outcome === 'rotate' ? ['after a new login'] : [])].join('; '));
}

/** The tools that a matrix in a file is about, and its roles, so that it can be asked again. */
export function readMatrix(text: string): { tools: MatrixTool[]; roles: string[] } {
  const tools: MatrixTool[] = [];
  let roles: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const [, name, backend, effect] = /^ {4}(\S+) +(\S+) +(read|write|destructive)$/.exec(line) ?? [];
    if (name !== undefined && backend !== undefined)
      tools.push({ name, backend: backend === '?' ? '' : backend, effect: effect as MatrixTool['effect'] });
    const listed = /^roles: (.*)$/.exec(line)?.[1];
    if (listed !== undefined) roles = (listed.match(/"(?:[^"\\]|\\.)*"|[^,\s][^,]*/g) ?? []).map(readRole);
  }
  return { tools, roles };
}
