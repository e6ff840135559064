// Turns the operations of an OpenAPI document into tools of one backend. Every operation is in the result, as a tool
// or with the reason why it is none. The same document always gives the same result, so that imports can be compared.
import { createHash } from 'node:crypto';
import { checkTool } from '../config/check/tool.ts';
import { backendSchema } from '../config/schema/backend.ts';
import { toolSchema } from '../config/schema/tool.ts';
import { isObject, type JsonObject } from '../formats/json.ts';
import type { OpenApiDocument } from './document.ts';
import { type ImportedTool, importOperation } from './tool.ts';

/** What has become of one operation. Either `name` or `reason` is set. */
export interface ImportedOperation {
  /** Method and path, such as "GET /pets/{id}"; the path alone when the path item cannot be found. */
  operation: string;
  /** Name of its tool, or undefined when it has become none. */
  name: string | undefined;
  /** Why it has not become a tool. */
  reason: string | undefined;
  /** What somebody should look at before the tool goes live. */
  notes: string[];
}

/** All operations, and the tools made of them by name. */
export interface ImportResult {
  /** In the order of their paths, and for each path in the order of METHODS. */
  operations: ImportedOperation[];
  /** In the order of their names. */
  tools: [string, ImportedTool][];
}

/** `readOnly`: only operations that read become tools. */
export interface ImportOptions {
  /** Name of the backend that the tools belong to. */
  backend: string;
  /** Text that each tool name begins with. */
  prefix: string;
  /** Only operations with one of these tags become tools; empty: all. The others are listed with a reason. */
  tags: readonly string[];
  readOnly: boolean;
}

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'];
/** Longest tool name that is made, because some MCP clients accept no longer ones. */
const LONGEST = 64;

/** Imports a document. An operation that cannot become a tool is listed with the reason and is not an error. */
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

/** A path item. In OpenAPI 3.1 it may refer to another one; fields beside the `$ref` win over those of the other. */
function itemOf(value: unknown, document: OpenApiDocument): Record<string, unknown> | undefined {
  const item = document.resolve(value);
  const { $ref, ...beside } = isObject(value) ? value : {};
  return item && { ...item, ...($ref === undefined ? {} : beside) };
}

/** A minimal backend that fits any tool, so that every problem a check finds is a problem of the tool. */
const ANY = backendSchema.parse({
  url: 'http://localhost',
  login: [{ request: { path: '/' } }],
  session: { cookies: ['any'] },
  expired: [{ status: 401 }],
});

/** The first problem for which the connector would refuse this tool in its configuration, or undefined. */
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

/**
 * A name that is too long or occurs twice gets a suffix, made from a hash of its operation, so that it stays the
 * same when other operations are added to the document.
 */
function marked(name: string, operation: string): string {
  const mark = createHash('sha256').update(operation).digest('hex').slice(0, 8);
  return `${name.slice(0, LONGEST - 9)}_${mark}`;
}
