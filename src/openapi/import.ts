// All operations of an OpenAPI document as tools of one backend. Every operation is accounted for: it is a
// tool, or it is named with the reason why not. The same document gives the same text, always.
import { createHash } from 'node:crypto';
import { isObject, type JsonObject } from '../core/json.ts';
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

export function importDocument(
  document: OpenApiDocument,
  { backend, prefix, tags, readOnly }: ImportOptions,
): ImportResult {
  const operations: ImportedOperation[] = [];
  const tools = new Map<string, ImportedTool>();
  for (const path of Object.keys(document.paths).sort()) {
    const item = document.resolve(document.paths[path]) ?? {};
    for (const method of METHODS) {
      const operation = item[method];
      if (!isObject(operation)) continue;
      const account = (name: string | undefined, reason: string | undefined, notes: string[] = []) =>
        operations.push({ operation: `${method.toUpperCase()} ${path}`, name, reason, notes });
      if (tags.length > 0 && !tags.some((tag) => Array.isArray(operation.tags) && operation.tags.includes(tag))) {
        account(undefined, 'none of the tags that were asked for');
        continue;
      }
      const result = importOperation(
        { path, method: method.toUpperCase(), operation, shared: item.parameters },
        backend,
        document,
      );
      if (!result.ok) account(undefined, result.reason);
      else if (readOnly && result.imported.tool.effect !== 'read') account(undefined, 'not a read');
      else {
        const name = unused(toolName(prefix, operation, method, path), `${method} ${path}`, tools);
        tools.set(name, result.imported);
        account(name, undefined, result.imported.notes);
      }
    }
  }
  return { operations, tools: [...tools].sort(([a], [b]) => (a < b ? -1 : 1)) };
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

/** A name that is too long or taken gets a part that depends on its operation alone, not on its neighbours. */
function unused(name: string, operation: string, tools: ReadonlyMap<string, unknown>): string {
  if (name.length <= LONGEST && !tools.has(name)) return name;
  const mark = createHash('sha256').update(operation).digest('hex').slice(0, 8);
  return `${name.slice(0, LONGEST - 9)}_${mark}`;
}
