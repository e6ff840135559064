// Policy folders for one test: the default policy with some files replaced.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { policyPaths } from '../../src/decision/data/paths.ts';
import { GATE_VERSION, hashSchemas, hashSiteSchema, sha256 } from '../../src/decision/manifest.ts';
import { compile, writeCompiled } from '../../src/policy/compiler.ts';
import type { Opa } from '../../src/policy/opa.ts';

export interface PolicyFolder {
  dir: string;
  remove(): void;
}

export function policyFolder(files: Record<string, string | ((original: string) => string)> = {}): PolicyFolder {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-policies-'));
  cpSync(join(PACKAGE_ROOT, 'policies'), dir, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(
      join(dir, name),
      typeof content === 'string' ? content : content(readFileSync(join(dir, name), 'utf8')),
    );
  }
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/**
 * A folder whose compiled policy carries a verdict that the gate never gave: such a verdict is as easy to write as the
 * WASM beside it, and the connector must not rely on it. `files` as above.
 */
export async function forgedFolder(
  opa: Opa,
  files: Record<string, string | ((original: string) => string)> = {},
): Promise<PolicyFolder> {
  const folder = policyFolder(files);
  const { wasm, manifest } = await compile(folder.dir, opa);
  const paths = policyPaths(folder.dir);
  const gate = {
    version: GATE_VERSION,
    schemas: hashSchemas(paths),
    site_schema: hashSiteSchema(paths),
    cases: sha256(NO_CASES),
  };
  writeCompiled(folder.dir, { wasm, manifest: { ...manifest, gate }, cases: NO_CASES });
  return folder;
}

const NO_CASES = '{"version":1,"settings":[],"cases":[]}\n';
