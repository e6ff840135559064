// What policies/compiled/manifest.json says about policy.wasm beside it: from which Rego sources and
// with which compiler it was made. A mismatch means the WASM is stale, and nothing is served on a
// stale policy.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

export const ENTRYPOINT = 'sallyport/decision';
/** Which tools a client sees. */
export const VISIBLE = 'sallyport/visible';
export const ENTRYPOINTS: readonly string[] = [ENTRYPOINT, VISIBLE];

export const manifestSchema = z.strictObject({
  version: z.literal(1),
  opa: z.string(),
  entrypoints: z.array(z.string()).min(1),
  wasm_sha256: z.string(),
  /** SHA-256 of each Rego source, by its path below the policy folder. */
  sources: z.record(z.string(), z.string()),
  /** Reason codes of the policies, from their METADATA: what an auditor reads beside a code. */
  reasons: z.record(
    z.string(),
    z.strictObject({ title: z.string(), controls: z.array(z.enum(['C01', 'C02', 'C03'])) }),
  ),
});

export type Manifest = z.infer<typeof manifestSchema>;

export const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');

/** SHA-256 of every Rego source below `<dir>/sallyport`, in sorted order. */
export function hashSources(dir: string): Record<string, string> {
  const root = join(dir, 'sallyport');
  if (!existsSync(root)) return {};
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.rego'))
    .map((name) => name.replaceAll('\\', '/'))
    .sort();
  return Object.fromEntries(files.map((name) => [`sallyport/${name}`, sha256(readFileSync(join(root, name)))]));
}

/** Names of the sources that differ between the two lists: changed, added or removed. */
export function differingSources(a: Record<string, string>, b: Record<string, string>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]).sort();
}
