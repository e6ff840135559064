// Reads an OpenAPI 3 document and brings in the files it refers to; the only home of @readme/openapi-parser. It
// reads one file and files below the folder of that file, or one URL, and nothing else.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { bundle } from '@readme/openapi-parser';
import { messageOf, OperatorError } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import { atPointer, isObject, nestsDeeperThan } from '../formats/json.ts';
import { parseData } from '../formats/yaml/yaml.ts';

/** A part of a document whose members have not been checked. */
export type Loose = Record<string, unknown>;

/** An OpenAPI 3.0 or 3.1 document. It has been read, not validated: each part is checked where it is used. */
export interface OpenApiDocument {
  readonly title: string;
  readonly version: string;
  /** URL of the first server, as the document says; it may be relative. */
  readonly server: string | undefined;
  readonly paths: Record<string, Loose>;
  /** The object itself, or the one its `$ref` leads to. Undefined when there is none or references form a circle. */
  resolve(value: unknown): Loose | undefined;
  /** The value at a local reference such as "#/components/schemas/Pet", or undefined. */
  at(ref: string): unknown;
}

const TIMEOUT_MS = 30_000;
const LARGEST_BYTES = 64 * 1024 * 1024;
const HOPS = 20;
const DEEPEST = 500;

/** Reads a document from a path or an http(s) URL. Throws an OperatorError that says what is wrong and what to do. */
export async function readDocument(source: string): Promise<OpenApiDocument> {
  const isUrl = /^https?:\/\//i.test(source);
  const root = parse(isUrl ? await download(source) : readFile(source), source);
  if (!isObject(root)) throw new OperatorError(`${source} is not an OpenAPI document`);
  if (nestsDeeperThan(root, DEEPEST)) throw new OperatorError(`${source} nests deeper than ${DEEPEST}, or in a circle`);
  const [other] = others(withoutExamples(root));
  if (other !== undefined) {
    // The author of a downloaded document must not be able to make this machine fetch other addresses or files.
    if (isUrl)
      throw new OperatorError(
        `${source} refers to ${other}: bring all parts into one document first, or import it from files`,
      );
    refuseOutside(resolve(source), root);
  }
  let raw: unknown;
  try {
    raw =
      other === undefined
        ? await bundle(withoutExamples(root) as never, { resolve: { external: false } })
        : await bundle(resolve(source), { resolve: { file: true } });
  } catch (thrown) {
    throw new OperatorError(`${source} cannot be read as an OpenAPI document: ${messageOf(thrown).split('\n')[0]}`);
  }
  if (!isObject(raw)) throw new OperatorError(`${source} is not an OpenAPI document`);
  if (typeof raw.swagger === 'string')
    throw new OperatorError(
      `${source} is Swagger ${raw.swagger}; convert it to OpenAPI 3 first (for example with swagger2openapi)`,
    );
  if (typeof raw.openapi !== 'string' || !/^3\.[01](\.|$)/.test(raw.openapi))
    throw new OperatorError(
      `${source} does not say "openapi: 3.0.x" or 3.1.x (in quotes, when it has no third part); these are read`,
    );
  if (!isObject(raw.paths)) throw new OperatorError(`${source} has no "paths"`);
  return wrap(raw);
}

function wrap(document: Loose): OpenApiDocument {
  const info = isObject(document.info) ? document.info : {};
  const [server] = Array.isArray(document.servers) ? document.servers : [];
  const at = (ref: string): unknown => {
    if (!ref.startsWith('#')) return undefined;
    try {
      return atPointer(document, decodeURIComponent(ref.slice(1)));
    } catch {
      return undefined;
    }
  };
  return {
    title: String(info.title ?? ''),
    version: String(info.version ?? ''),
    server: isObject(server) && typeof server.url === 'string' ? server.url : undefined,
    paths: document.paths as Record<string, Loose>,
    at,
    resolve(value) {
      let current = value;
      for (let i = 0; i < HOPS && isObject(current) && typeof current.$ref === 'string'; i++)
        current = at(current.$ref);
      return isObject(current) && typeof current.$ref !== 'string' ? current : undefined;
    },
  };
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new OperatorError(`${path} cannot be read: ${messageOf(thrown)}`);
  }
}

async function download(url: string): Promise<string> {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new Error(`no answer within ${TIMEOUT_MS / 1000} seconds`)),
    TIMEOUT_MS,
  );
  try {
    const response = await fetch(url, { redirect: 'error', signal: controller.signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > LARGEST_BYTES) throw new Error(`larger than ${LARGEST_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } catch (thrown) {
    const cause = thrown instanceof Error && thrown.cause !== undefined ? messageOf(thrown.cause) : messageOf(thrown);
    throw new OperatorError(`${url} cannot be read: ${cause}`);
  } finally {
    clearTimeout(timer);
  }
}

function parse(text: string, name: string): unknown {
  try {
    return parseData(text);
  } catch (thrown) {
    throw new OperatorError(`${name} is neither JSON nor YAML: ${messageOf(thrown).split('\n')[0]}`);
  }
}

/** Keywords whose value is data. A "$ref" inside one is part of the data and not a reference. */
const DATA = new Set(['example', 'examples', 'default', 'enum', 'const']);
/** Keywords whose member names are chosen by the author: a property called "example", say, is not the keyword. */
const TABLES = new Set([
  ...[
    'properties',
    'patternProperties',
    'dependentSchemas',
    '$defs',
    'definitions',
    'schemas',
    'responses',
    'parameters',
  ],
  ...['requestBodies', 'headers', 'securitySchemes', 'links', 'callbacks', 'pathItems', 'webhooks', 'paths', 'content'],
]);

/** References to other documents, without fragments. `named`: the keys of `value` are names chosen by the author. */
function others(value: unknown, found = new Set<string>(), named = false): Set<string> {
  for (const [key, child] of typeof value === 'object' && value !== null ? Object.entries(value) : []) {
    if (!named && DATA.has(key)) continue;
    if (key === '$ref' && typeof child === 'string' && !child.startsWith('#'))
      found.add(child.split('#', 1)[0] as string);
    else others(child, found, !named && TABLES.has(key));
  }
  return found;
}

/** The document without examples and other data that the parser would take for references. `named`: see `others`. */
function withoutExamples(value: unknown, named = false): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutExamples(item));
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(
    ([key, child]) =>
      named || !DATA.has(key) || (!key.startsWith('example') && !(JSON.stringify(child) ?? '').includes('"$ref"')),
  );
  return Object.fromEntries(kept.map(([key, child]) => [key, withoutExamples(child, !named && TABLES.has(key))]));
}

/**
 * Throws when the document, or a file it refers to, has a reference that leads out of its folder, symbolic links
 * resolved: such a reference could copy any file of this machine into a configuration.
 */
function refuseOutside(path: string, root: unknown): void {
  const folder = `${realpathSync(dirname(path))}${sep}`;
  const seen = new Set<string>();
  const look = (file: string, value: unknown): void => {
    // An "$id" changes the base of relative references: the parser would read other files than those checked here.
    if (hasOwnName(value))
      throw new OperatorError(`${file} has an "$id": take it out, or bring all parts into one document`);
    for (const other of others(value)) {
      const target = targetOf(other, file);
      const real = target !== undefined && existsSync(target) ? realpathSync(target) : target;
      if (target === undefined || !real?.startsWith(folder))
        throw new OperatorError(`${file} refers to ${printable(other)}, which is not below the folder of ${path}`);
      if (seen.has(target)) continue;
      seen.add(target);
      if (/\.(json|ya?ml)$/i.test(target)) look(target, parse(readFile(target), target));
    }
  };
  look(path, root);
}

function targetOf(reference: string, file: string): string | undefined {
  try {
    return /^[a-z][a-z0-9+.-]*:/i.test(reference) ? undefined : resolve(dirname(file), decodeURIComponent(reference));
  } catch {
    return undefined;
  }
}

function hasOwnName(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if ('$schema' in value && 'id' in value && typeof value.id === 'string') return true;
  return Object.entries(value).some(
    ([key, child]) => (key === '$id' && typeof child === 'string') || hasOwnName(child),
  );
}
