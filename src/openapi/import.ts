// All operations of an OpenAPI document as tools of one backend. Every operation is accounted for: it is a
// tool, or it is named with the reason why not. The same document gives the same text, always.
import { createHash } from 'node:crypto';
import { checkTool } from '../config/check/tool.ts';
import { backendSchema } from '../config/schema/backend.ts';
import { toolSchema } from '../config/schema/tool.ts';
import { isObject, type JsonObject } from '../formats/json.ts';
import type { OpenApiDocument } from './document.ts';
import { type ImportedTool, importOperation } from './tool.ts';

export interface ImportedOperation {
  /** "GET /pets/{id}" */
  operation: string;
  name: string | undefined;
  /** Why it is no tool. */
  reason: string | undefined;
  notes: string[];
}

export interface ImportResult {
  /** In order of path and method. */
  operations: ImportedOperation[];
  tools: [string, ImportedTool][];
}

export interface ImportOptions {
  backend: string;
  /** Put before each name. */
  prefix: string;
  /** Only operations with one of these tags; empty: all. Others are accounted for as left out. */
  tags: readonly string[];
  readOnly: boolean;
}

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'];
/** Some clients take no longer names. */
const LONGEST = 64;

export function importDocument(document: OpenApiDocument, options: ImportOptions): ImportResult {
  const { prefix, tags, readOnly } = options;
  const operations: ImportedOperation[] = [];
  const made: { name: string; at: ImportedOperation; imported: ImportedTool }[] = [];
  for (const path of Object.keys(document.paths).sort()) {
    if (path.startsWith('x-')) continue;
    const item = itemOf(document.paths[path], document);
    if (!item) operations.push({ operation: path, name: undefined, reason: 'it refers to nothing', notes: [] });
    for (const method of METHODS) {
      const operation = item?.[method];
      if (!isObject(operation)) continue;
      const at: ImportedOperation = {
        operation: `${method.toUpperCase()} ${path}`,
        name: undefined,
        reason: undefined,
        notes: [],
      };
      operations.push(at);
      if (tags.length > 0 && !tags.some((tag) => Array.isArray(operation.tags) && operation.tags.includes(tag))) {
        at.reason = 'none of the tags that were asked for';
        continue;
      }
      const asked = { path, method: method.toUpperCase(), operation, shared: item?.parameters };
      const result = importOperation(asked, options.backend, document);
      if (!result.ok) at.reason = result.reason;
      else if (readOnly && result.imported.tool.effect !== 'read') at.reason = 'not a read';
      else {
        at.notes = result.imported.notes;
        if (operation.servers !== undefined || item?.servers !== undefined)
          at.notes.push('the document names another server for it, which is not asked');
        made.push({ name: toolName(prefix, operation, method, path), at, imported: result.imported });
      }
    }
  }
  const count = new Map<string, number>();
  for (const { name } of made) count.set(name, (count.get(name) ?? 0) + 1);
  const tools = new Map<string, ImportedTool>();
  for (const { name, at, imported } of made) {
    at.name = count.get(name) === 1 && name.length <= LONGEST ? name : marked(name, at.operation);
    const problem = problemOf(at.name, imported.tool);
    if (problem !== undefined) Object.assign(at, { name: undefined, reason: problem });
    else tools.set(at.name, imported);
  }
  return { operations, tools: [...tools].sort(([a], [b]) => (a < b ? -1 : 1)) };
}

/** OpenAPI 3.1 lets a path item refer to another and say more beside it. */
function itemOf(value: unknown, document: OpenApiDocument): Record<string, unknown> | undefined {
  const item = document.resolve(value);
  const { $ref, ...beside } = isObject(value) ? value : {};
  return item && { ...item, ...($ref === undefined ? {} : beside) };
}

/** A backend that takes any tool: what is wrong then is wrong with the tool. */
const ANY = backendSchema.parse({
  url: 'http://localhost',
  login: [{ request: { path: '/' } }],
  session: { cookies: ['any'] },
  expired: [{ status: 401 }],
});

/** What the connector would say of the tool, or undefined. */
function problemOf(name: string, tool: JsonObject): string | undefined {
  const parsed = toolSchema.safeParse(tool);
  const [problem] = parsed.success ? checkTool(name, parsed.data, { [parsed.data.backend]: ANY }) : parsed.error.issues;
  return problem && `the connector would not take it: ${problem.path.map(String).join('.')}: ${problem.message}`;
}

function toolName(
  prefix: string,
  operation: JsonObject | Record<string, unknown>,
  method: string,
  path: string,
): string {
  const id =
    typeof operation.operationId === 'string' && operation.operationId !== ''
      ? operation.operationId
      : `${method} ${path}`;
  return `${prefix}${snake(id)}`;
}

const snake = (text: string): string =>
  text
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .toLowerCase() || 'operation';

/** A name that is too long, or not the only one, gets a part that depends on its operation alone. */
function marked(name: string, operation: string): string {
  const mark = createHash('sha256').update(operation).digest('hex').slice(0, 8);
  return `${name.slice(0, LONGEST - 9)}_${mark}`;
}
