// `sallyport import openapi FILE|URL`: makes tools from an OpenAPI 3 document, to be reviewed and edited.
import { existsSync, writeFileSync } from 'node:fs';
import { OperatorError } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import { toYaml } from '../formats/yaml/yaml.ts';
import { readDocument } from '../openapi/document.ts';
import { type ImportResult, importDocument } from '../openapi/import.ts';
import { print, printJson, progress } from './output.ts';

/** Options of the command. */
export interface ImportOptions {
  backend: string;
  prefix: string;
  tag: string[];
  readOnly?: boolean;
  out?: string;
  force?: boolean;
  json?: boolean;
}

/**
 * Prints the tools, or writes them to `out`, and says which operations were left out. Rejects with an
 * OperatorError when the document cannot be read or the file exists.
 */
export async function importOpenapi(source: string, options: ImportOptions): Promise<void> {
  const { backend, prefix, tag: tags, readOnly = false, out, json = false } = options;
  if (out !== undefined && existsSync(out) && !options.force)
    throw new OperatorError(`${out} exists; give another name, or --force to replace it`);
  const document = await readDocument(source);
  const result = importDocument(document, { backend, prefix, tags, readOnly });
  const left = result.operations.filter(({ reason }) => reason !== undefined);
  if (json) {
    printJson({
      operations: result.operations,
      tools: Object.fromEntries(result.tools.map(([name, t]) => [name, t.tool])),
    });
    return;
  }
  const text = render(result, document, backend);
  if (out === undefined) print(text.trimEnd());
  else writeFileSync(out, text);
  for (const { operation, reason } of left) progress(printable(`left out: ${operation}: ${reason}`));
  progress(`${result.operations.length} operations: ${result.tools.length} tools, ${left.length} left out`);
}

function render(
  { tools, operations }: ImportResult,
  document: Awaited<ReturnType<typeof readDocument>>,
  backend: string,
): string {
  const left = operations.filter(({ reason }) => reason !== undefined);
  const comments = [
    `Tools from "${document.title}" ${document.version}: ${tools.length} of ${operations.length} operations.`,
    'Review before use: the effect of each tool (a write is never repeated), its description, and which',
    'arguments may stand in the decision log ("audit"). Delete what nobody needs; then list the tools',
    'under access.roles in data.yaml. Nothing here is allowed until a role lists it.',
    `Their backend "${backend}" is yours to describe; the document says it is at ${document.server ?? '(it does not say)'}.`,
    ...(left.length > 0 ? ['', 'Left out:'] : []),
    ...left.map(({ operation, reason }) => `  ${operation}: ${reason}`),
  ];
  const head = comments.map((line) => `# ${printable(line)}`.trimEnd()).join('\n');
  const body = toYaml({
    tools: tools.map(([name, { tool, notes }]) => ({
      key: name,
      value: tool,
      comments: notes.map((n) => printable(`REVIEW: ${n}`)),
    })),
  });
  return `${head}\n${body}`;
}
