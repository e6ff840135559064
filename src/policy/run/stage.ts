// A copy of a policy as OPA is to see it: shipped and site rules under one root, whatever folders they come from, with
// the site's schema of its settings in place. Names in messages and in the WASM are then the same everywhere.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { type PolicyPaths, shown } from '../../decision/data/paths.ts';
import { readSiteSchema, SITE_SCHEMA } from '../../decision/data/site-settings.ts';
import { sourceFiles } from '../../decision/manifest.ts';
import { atPointer, isObject, type JsonObject } from '../../formats/json.ts';

/** A staged policy. */
export interface Stage {
  /** The folder in which OPA is run. */
  readonly dir: string;
  /** Sources below it, such as "site/night.rego". */
  readonly sources: readonly string[];
  /** What to give OPA as paths: the folders of the sources. */
  readonly roots: readonly string[];
  /** The file that a path below the stage was copied from, as it is shown to a person. */
  original(file: string): string;
}

/** Rules of a site need no METADATA for their types: this gives every package below "site" the schemas. */
const TYPES = `# METADATA
# scope: subpackages
# schemas:
#   - input: schema.input
#   - data.settings: schema.settings
package site
`;
/** The source above, below the stage. */
export const TYPES_FILE = 'types/site.rego';

/** Copies the policy, runs `work` on the copy and removes it. `tests`: folders of Rego tests, by the name they get. */
export async function withStage<T>(
  paths: PolicyPaths,
  work: (stage: Stage) => Promise<T>,
  tests: ReadonlyMap<string, string> = new Map(),
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  const files = new Map([...sourceFiles(paths), ...tests]);
  const originals = [...files].map(([name, file]) => [name, shown(file)] as const);
  try {
    for (const [name, file] of files) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      cpSync(file, join(dir, name));
    }
    mkdirSync(join(dir, 'types'));
    writeFileSync(join(dir, TYPES_FILE), TYPES);
    for (const name of ['schemas', 'capabilities.json'])
      if (existsSync(join(paths.shipped, name)))
        cpSync(join(paths.shipped, name), join(dir, name), { recursive: true });
    writeSettingsSchema(dir, paths);
    const sources = [...sourceFiles(paths).keys()];
    return await work({
      dir,
      sources,
      roots: readdirSync(dir).filter((name) => sources.some((source) => source.startsWith(`${name}/`))),
      original: (file) => shown(files.get(file) ?? join(paths.dir, file)),
    });
  } catch (thrown) {
    throw thrown instanceof OperatorError ? new OperatorError(withOriginals(thrown.message, dir, originals)) : thrown;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A message of OPA with the files as a person knows them. */
function withOriginals(message: string, stage: string, originals: readonly (readonly [string, string])[]): string {
  return originals
    .reduce((text, [name, file]) => text.replaceAll(name, file), message.replaceAll(`${stage}/`, ''))
    .replaceAll(stage, 'a copy of the policy');
}

/** References within the site's schema put in place: below ours they would point elsewhere. */
function inlined(value: unknown, root: JsonObject, depth = 16): unknown {
  if (Array.isArray(value)) return value.map((item) => inlined(item, root, depth));
  if (!isObject(value) || depth === 0) return value;
  const { $ref: ref, $defs: _defs, definitions: _definitions, ...rest } = value;
  const target = typeof ref === 'string' && ref.startsWith('#') ? atPointer(root, ref.slice(1)) : undefined;
  const all = { ...(isObject(target) && target), ...rest };
  return Object.fromEntries(Object.entries(all).map(([key, item]) => [key, inlined(item, root, depth - 1)]));
}

/** OPA takes an object without properties for one that may have any. This name is what it offers instead of a misspelt one. */
const NO_SCHEMA = `(nothing: there is no ${SITE_SCHEMA} beside the rules)`;

/** Puts the site's schema of its settings where OPA types `settings.site` by it. */
function writeSettingsSchema(dir: string, paths: PolicyPaths): void {
  const file = join(dir, 'schemas', 'settings.json');
  const schemaOfSite = readSiteSchema(paths);
  const site = schemaOfSite && (inlined(schemaOfSite, schemaOfSite) as JsonObject);
  if (!existsSync(file)) return;
  const schema = JSON.parse(readFileSync(file, 'utf8')) as JsonObject;
  const properties = schema.properties as JsonObject;
  const merged = (properties.merged as JsonObject | undefined)?.properties as JsonObject | undefined;
  // Without a schema there are no settings of the site, so a rule that reads one reads nothing.
  const none = { type: 'object', properties: { [NO_SCHEMA]: { type: 'boolean' } }, additionalProperties: false };
  const known = site ?? none;
  if (isObject(merged?.site)) merged.site.items = known;
  if (properties.site !== undefined) properties.site = known;
  writeFileSync(file, JSON.stringify(schema));
}
