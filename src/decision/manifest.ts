// The file policies/compiled/manifest.json says from which Rego sources and with which compiler the policy.wasm
// beside it was made. When they do not match, the WASM is stale, and a stale policy is never served.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { type PolicyPaths, type PolicyPlace, policyPaths } from './data/paths.ts';
import { SITE_SCHEMA } from './data/site-settings.ts';

/** Entrypoint that decides a tool call. */
export const ENTRYPOINT = 'sallyport/decision';
/** Entrypoint that names the tools a client may see. */
export const VISIBLE = 'sallyport/visible';
/** All entrypoints that a compiled policy must have. */
export const ENTRYPOINTS: readonly string[] = [ENTRYPOINT, VISIBLE];

/** The version of what the gate checks. A verdict of an older one starts with a warning, for one release. */
export const GATE_VERSION = 1;

/** What an auditor and the connector need to know of one reason code, from the METADATA and the text of its rules. */
const reasonSchema = z.strictObject({
  title: z.string(),
  /** Ids of controls, such as "C02" or "ISO27001-A.8.15". */
  controls: z.array(z.string().min(1)),
  /** Each rule with this code refuses a place for itself: where it denies, the client is not in use there. */
  own_place: z.literal(true).optional(),
  /** A rule named "allow" gives it: it is a reason why a call may go on. */
  allows: z.literal(true).optional(),
  /**
   * Parameters that are taken from arguments, with the names of those arguments ("*" is any of them); the parameter "*"
   * stands for all. They are on record only where the tool's `audit` list names each of the arguments.
   */
  from_arguments: z.record(z.string(), z.array(z.string())).optional(),
});

/**
 * The verdict of the gate (`policy build`): that everything was checked, by which version of the gate, and the hashes of
 * what was checked besides the sources. Whoever can write the WASM can write it, too; see `policy.require`.
 */
const verdictSchema = z.strictObject({
  version: z.int().positive(),
  schemas: z.string(),
  site_schema: z.string().nullable(),
  cases: z.string(),
});

/** The form of manifest.json, version 1. */
export const manifestSchema = z.strictObject({
  version: z.literal(1),
  opa: z.string(),
  entrypoints: z.array(z.string()).min(1),
  wasm_sha256: z.string(),
  /** SHA-256 of each Rego source, by its path: `sallyport/…` for the shipped ones, `site/…` for those of the site. */
  sources: z.record(z.string(), z.string()),
  /** Reason codes of the policies, from their METADATA, with what an auditor needs beside a code. */
  reasons: z.record(z.string(), reasonSchema),
  /** Arguments that rules read, each with the tools that the rules name; an empty list is any tool. */
  reads_arguments: z.record(z.string(), z.array(z.string())).optional(),
  /** Texts in the rules that read arguments, with which the self-test fills arguments; missing before 0.1. */
  literals: z.array(z.string()).optional(),
  /** Missing in a policy that was compiled before there was a gate. */
  gate: verdictSchema.optional(),
});

/** The content of manifest.json. */
export type Manifest = z.infer<typeof manifestSchema>;

/** A compiled policy: the module, what the manifest beside it says, and the cases that it was tested with. */
export interface Compiled {
  wasm: Buffer;
  manifest: Manifest;
  /** The text of cases.json. Missing in a policy that was compiled before there was a gate. */
  cases?: string | undefined;
}

/** SHA-256 in hex. */
export const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');

/** The Rego sources of a policy: their paths in the manifest, and where they are. Sorted. */
export function sourceFiles(paths: PolicyPaths): Map<string, string> {
  return new Map([
    ...regoBelow(join(paths.shipped, 'sallyport'), 'sallyport'),
    ...regoBelow(paths.site, 'site').filter(([name]) => !/^site\/(compiled|tests)\//.test(name)),
  ]);
}

/** SHA-256 of every Rego source, by its path in the manifest. Empty when there is none. */
export function hashSources(place: string | PolicyPlace): Record<string, string> {
  return hashSourcesAt(policyPaths(place));
}

/** The same, of a policy whose parts are found already. */
export const hashSourcesAt = (paths: PolicyPaths): Record<string, string> =>
  Object.fromEntries([...sourceFiles(paths)].map(([name, file]) => [name, hashOf(file)]));

/** SHA-256 of a file, in hex. */
export const hashOf = (file: string): string => sha256(readFileSync(file));

/** One hash for the published schemas, which the types of the rules were checked against. */
export function hashSchemas({ shipped }: PolicyPaths): string {
  const dir = join(shipped, 'schemas');
  const names = existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith('.json')) : [];
  return sha256(
    names
      .sort()
      .map((name) => `${name} ${hashOf(join(dir, name))}\n`)
      .join(''),
  );
}

/** The hash of the site's schema of its settings; null when there is none. */
export function hashSiteSchema({ site }: PolicyPaths): string | null {
  const file = join(site, SITE_SCHEMA);
  return existsSync(file) ? hashOf(file) : null;
}

/** A mounted ConfigMap has its files a second time below a name with a dot. */
function regoBelow(root: string, as: string): [string, string][] {
  if (!existsSync(root)) return [];
  if (!statSync(root).isDirectory()) throw new OperatorError(`${root} is no folder`);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.rego') && !/(^|\/)\./.test(name))
    .filter((name) => isFile(join(root, name)))
    .sort()
    .map((name) => [`${as}/${name}`, join(root, name)]);
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    throw new OperatorError(`${path} is a link to nothing`);
  }
}

/** Names of the sources that were changed, added or removed between the two lists, sorted. */
export function differingSources(a: Record<string, string>, b: Record<string, string>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]).sort();
}
