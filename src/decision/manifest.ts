// The file policies/compiled/manifest.json says from which Rego sources and with which compiler the policy.wasm
// beside it was made. When they do not match, the WASM is stale, and a stale policy is never served.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Entrypoint that decides a tool call. */
export const ENTRYPOINT = 'sallyport/decision';
/** Entrypoint that names the tools a client may see. */
export const VISIBLE = 'sallyport/visible';
/** All entrypoints that a compiled policy must have. */
export const ENTRYPOINTS: readonly string[] = [ENTRYPOINT, VISIBLE];

/** The form of manifest.json, version 1. */
export const manifestSchema = z.strictObject({
  version: z.literal(1),
  opa: z.string(),
  entrypoints: z.array(z.string()).min(1),
  wasm_sha256: z.string(),
  /** SHA-256 of each Rego source, by its path below the policy folder. */
  sources: z.record(z.string(), z.string()),
  /** Reason codes of the policies, from their METADATA, with what an auditor needs beside a code. */
  reasons: z.record(
    z.string(),
    z.strictObject({
      title: z.string(),
      controls: z.array(z.enum(['C01', 'C02', 'C03'])),
      /** Each rule with this code refuses a place for itself: where it denies, the client is not in use there. */
      own_place: z.literal(true).optional(),
    }),
  ),
});

/** The content of manifest.json. */
export type Manifest = z.infer<typeof manifestSchema>;

/** A compiled policy: the module, and what the manifest beside it says. */
export interface Compiled {
  wasm: Buffer;
  manifest: Manifest;
}

/** SHA-256 in hex. */
export const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');

/**
 * SHA-256 of every Rego source below `<dir>/sallyport`, by its path below `<dir>` and sorted by it. Empty when
 * there is none.
 */
export function hashSources(dir: string): Record<string, string> {
  const root = join(dir, 'sallyport');
  if (!existsSync(root)) return {};
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.rego'))
    .map((name) => name.replaceAll('\\', '/'))
    .sort();
  return Object.fromEntries(files.map((name) => [`sallyport/${name}`, sha256(readFileSync(join(root, name)))]));
}

/** Names of the sources that were changed, added or removed between the two lists, sorted. */
export function differingSources(a: Record<string, string>, b: Record<string, string>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]).sort();
}
