// The only home of @readme/openapi-parser: reads an OpenAPI 3 document, with its references to other files
// brought in. Reads a file and what lies below its folder, or one URL, and nothing else.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { bundle } from '@readme/openapi-parser';
import { messageOf, OperatorError } from '../core/errors.ts';
import { atPointer, isObject } from '../core/json.ts';
import { parseData } from '../core/yaml.ts';

export type Loose = Record<string, unknown>;

export interface OpenApiDocument {
  readonly title: string;
  readonly version: string;
  /** As the document says; may be relative. */
  readonly server: string | undefined;
  readonly paths: Record<string, Loose>;
  /** What a reference names. Follows references to references; undefined when there is nothing, or a circle. */
  resolve(value: unknown): Loose | undefined;
  /** What stands at a local reference such as "#/components/schemas/Pet". */
  at(ref: string): unknown;
}

const TIMEOUT_MS = 30_000;
const LARGEST_BYTES = 64 * 1024 * 1024;
const HOPS = 20;

/** `source`: a path or an http(s) URL. Throws an OperatorError that says what is wrong and what to do. */
export async function readDocument(source: string): Promise<OpenApiDocument> {
  const isUrl = /^https?:\/\//i.test(source);
  const root = parse(isUrl ? await download(source) : readFile(source), source);
  const [other] = others(withoutExamples(root));
  if (other !== undefined) {
    // Whoever wrote a document that was downloaded must not choose what else is fetched from here.
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
  if (typeof raw.openapi !== 'string' || !raw.openapi.startsWith('3.'))
    throw new OperatorError(`${source} has no "openapi: 3.x"; OpenAPI 3.0 and 3.1 are read`);
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
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
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
  }
}

function parse(text: string, name: string): unknown {
  try {
    return parseData(text);
  } catch (thrown) {
    throw new OperatorError(`${name} is neither JSON nor YAML: ${messageOf(thrown).split('\n')[0]}`);
  }
}

/** References to other documents, without their fragments. */
function others(value: unknown, found = new Set<string>()): Set<string> {
  for (const [key, child] of typeof value === 'object' && value !== null ? Object.entries(value) : []) {
    if (key === '$ref' && typeof child === 'string' && !child.startsWith('#'))
      found.add(child.split('#', 1)[0] as string);
    else others(child, found);
  }
  return found;
}

const SHOWN = new Set(['example', 'examples']);

/** Examples are data: a "$ref" in them refers to nothing. Properties may have these names. */
function withoutExamples(value: unknown, named = false): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutExamples(item));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => named || !SHOWN.has(key))
      .map(([key, child]) => [key, withoutExamples(child, !named && key === 'properties')]),
  );
}

/** A reference that leaves the folder would copy any file of this machine into a configuration. */
function refuseOutside(path: string, root: unknown): void {
  const folder = `${realpathSync(dirname(path))}${sep}`;
  const seen = new Set<string>();
  const look = (file: string, value: unknown): void => {
    for (const other of others(value)) {
      const target = /^[a-z][a-z0-9+.-]*:/i.test(other) ? undefined : resolve(dirname(file), decodeURIComponent(other));
      const real = target !== undefined && existsSync(target) ? realpathSync(target) : target;
      if (target === undefined || !real?.startsWith(folder))
        throw new OperatorError(`${file} refers to ${other}, which is not below the folder of ${path}`);
      if (seen.has(target)) continue;
      seen.add(target);
      look(target, parse(readFile(target), target));
    }
  };
  look(path, root);
}
