// Checks of a tool that its schema cannot express: that its parts fit each other, its backend and its arguments.
import type { Json, JsonObject } from '../../formats/json.ts';
import { compileSchema, schemaProblem } from '../../formats/json-schema.ts';
import { placeholders, templateParts } from '../../formats/template.ts';
import type { BackendConfig } from '../schema/backend.ts';
import type { ResultConfig, ToolConfig } from '../schema/tool.ts';
import { tokenNames } from './backend.ts';
import { checkRequest, type Path, type PathProblem } from './request.ts';

/** All problems of one tool. `backends`: those of the configuration by name. */
export function checkTool(name: string, tool: ToolConfig, backends: Record<string, BackendConfig>): PathProblem[] {
  const at = ['tools', name];
  const backend = Object.hasOwn(backends, tool.backend) ? backends[tool.backend] : undefined;
  if (!backend) return [{ path: [...at, 'backend'], message: `no backend "${tool.backend}" under "backends"` }];
  const problem =
    tool.arguments.type === 'object'
      ? schemaProblem(tool.arguments)
      : 'the schema of the arguments must have "type": "object"';
  if (problem !== undefined) return [{ path: [...at, 'arguments'], message: problem }];
  const defaults =
    (tool.fill_defaults ?? tool.effect === 'read') ? defaultsProblem(tool.arguments as JsonObject) : undefined;
  if (defaults !== undefined) return [{ path: [...at, 'arguments'], message: defaults }];
  return [...checkArguments(tool, backend, at), ...checkPages(tool, at), ...checkResult(tool, [...at, 'result'])];
}

function checkArguments(tool: ToolConfig, backend: BackendConfig, at: Path): PathProblem[] {
  const names = Object.keys((tool.arguments.properties as object | undefined) ?? {});
  const required = new Set((tool.arguments.required as string[] | undefined) ?? []);
  const texts = new Set([
    ...names,
    ...backend.session.values.map((value) => `session.${value}`),
    ...tokenNames(backend),
    ...(tool.pages ? ['page'] : []),
  ]);
  const problems = checkRequest(tool.request, [...at, 'request'], { texts });
  for (const argument of placeholders(tool.request.path)) {
    if (names.includes(argument) && !required.has(argument))
      problems.push({
        path: [...at, 'request', 'path'],
        message: `"${argument}" stands in the path, so it must be a required argument`,
      });
  }
  for (const name of names.filter((n) => n === 'page' && tool.pages))
    problems.push({ path: [...at, 'arguments', 'properties', name], message: '"{page}" is filled by "pages"' });
  if (tool.refused && !backend.csrf)
    problems.push({ path: [...at, 'refused'], message: 'the backend has no "csrf", so no token can be refused' });
  tool.audit.forEach((argument, i) => {
    if (!names.includes(argument))
      problems.push({ path: [...at, 'audit', i], message: `the tool has no argument "${argument}"` });
  });
  return problems;
}

function checkPages(tool: ToolConfig, at: Path): PathProblem[] {
  const { pages, result, request } = tool;
  if (!pages) return [];
  const path = [...at, 'pages'];
  const problems: PathProblem[] = [];
  if (tool.effect !== 'read') problems.push({ path, message: 'only a tool with "effect: read" has pages' });
  if (!['json', 'xml'].includes(result.as)) problems.push({ path, message: 'only with "as: json" or "as: xml"' });
  if (result.pointer !== undefined)
    problems.push({
      path: [...at, 'result', 'pointer'],
      message: 'with "pages", say where the list is under "pages.items"',
    });
  if (pages.by === 'cursor' && placeholders(request.path).includes('page'))
    problems.push({ path, message: 'the first page has no cursor: "{page}" cannot stand in the path' });
  if (!templateParts(request).some(({ template }) => placeholders(template).includes('page')))
    problems.push({ path, message: 'the request must use "{page}" somewhere' });
  return problems;
}

/** Which default does not match the schema of its own property: each call that leaves it out would be refused. */
function defaultsProblem(root: JsonObject): string | undefined {
  for (const [name, property] of Object.entries((root.properties ?? {}) as Record<string, Json>)) {
    if (typeof property !== 'object' || property === null || Array.isArray(property) || property.default === undefined)
      continue;
    // A reference to another part of the schema than its definitions cannot be followed from here.
    const schema = { ...(root.$defs !== undefined && { $defs: root.$defs }), ...property };
    const problem = schemaProblem(schema) === undefined ? compileSchema(schema)(property.default) : undefined;
    if (problem !== undefined) return `the default of "${name}" does not match its schema`;
  }
  return undefined;
}

/** Settings of a result that have a meaning only with certain values of "as". */
const ONLY: Partial<Record<keyof ResultConfig, readonly string[]>> = {
  pointer: ['json', 'xml'],
  jmespath: ['json', 'xml'],
  lists: ['xml'],
  select: ['html'],
  truncate: ['text', 'html'],
};

function checkResult({ result, expect, request }: ToolConfig, at: Path): PathProblem[] {
  const problems: PathProblem[] = [];
  for (const [key, kinds] of Object.entries(ONLY)) {
    const value = result[key as keyof ResultConfig];
    const given = Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
    if (given && !kinds.includes(result.as))
      problems.push({ path: [...at, key], message: `only with "as: ${kinds.join('" or "as: ')}"` });
  }
  if (result.as === 'binary' && result.media_types === undefined)
    problems.push({ path: [...at, 'media_types'], message: 'say which content types a binary answer may have' });
  if (result.as === 'binary' && (result.wrap !== undefined || result.schema !== undefined))
    problems.push({ path: at, message: 'a binary result has neither "wrap" nor "schema"' });
  if (result.as === 'location' && !expect?.some((condition) => condition.redirect_to))
    problems.push({ path: [...at, 'as'], message: '"location" needs "expect" with a redirect_to' });
  if (request.jsonrpc && result.as !== 'json')
    problems.push({ path: [...at, 'as'], message: 'a JSON-RPC answer is read "as: json"' });
  if (result.schema) {
    const problem =
      result.schema.type === 'object'
        ? schemaProblem(result.schema as JsonObject)
        : 'must have "type": "object" (MCP); "wrap" puts another result into one';
    if (problem !== undefined) problems.push({ path: [...at, 'schema'], message: problem });
  }
  return problems;
}
