// A bundle of `opa build -t wasm`: its module stands at the root, its settings in data.json, and its Rego without the
// entrypoints. What the connector wants to know of the reasons besides is in the Rego, or was told by the gate already where
// the module is that of this version.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { type Bundle, readSettings, revisionOf } from '../../decision/bundle.ts';
import { PACKAGED, type PolicyPlace, policyPaths } from '../../decision/data/paths.ts';
import { readSettingsAt } from '../../decision/data/read.ts';
import { ENTRYPOINTS, hashSources, type Manifest, manifestSchema, sha256 } from '../../decision/manifest.ts';
import type { SettingsFile } from '../../decision/settings.ts';
import { isObject } from '../../formats/json.ts';
import type { FindOpaOptions } from '../opa.ts';
import { findOpa } from '../opa.ts';
import { parseModules } from '../rego/modules.ts';
import { argumentsRead, literalsCompared, reasonsOf } from '../rego/reasons.ts';

/** Whether the files of a folder are such a bundle. */
export const isOpaBuilt = (dir: string): boolean =>
  existsSync(join(dir, 'policy.wasm')) && !existsSync(join(dir, 'compiled', 'manifest.json'));

/** The settings of a policy that was laid out, whoever built it. */
export function settingsOf(place: PolicyPlace): SettingsFile {
  if (isOpaBuilt(place.dir)) writeFileSync(join(place.dir, 'data.yaml'), settingsIn(place.dir), { mode: 0o600 });
  return readSettings(place);
}

/** Loads it from a folder of its own. Rejects with an OperatorError for what is no policy of Sallyport. */
export async function loadOpaBuilt(dir: string, options: FindOpaOptions): Promise<Bundle> {
  writeFileSync(join(dir, 'data.yaml'), settingsIn(dir), { mode: 0o600 });
  const settingsFile = readSettingsAt(policyPaths(dir));
  const wasm = readFileSync(join(dir, 'policy.wasm'));
  const wasmSha256 = sha256(wasm);
  const known = packaged(wasmSha256);
  const manifest = known?.manifest ?? (await manifestOf(dir, wasmSha256, options));
  const { settings } = settingsFile;
  // OPA has written this Rego anew and without the entrypoints: it is not what the module was made from.
  rmSync(join(dir, 'sallyport'), { recursive: true, force: true });
  return {
    ...{ wasm, settings, settingsFile, manifest, wasmSha256, cases: known?.cases },
    module: new WebAssembly.Module(new Uint8Array(wasm)),
    revision: revisionOf(wasmSha256, settings),
    unverified: 'a bundle of "opa build" carries no verdict of the gate',
  };
}

function settingsIn(dir: string): string {
  const file = join(dir, 'data.json');
  let data: unknown;
  try {
    data = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    throw new OperatorError(`${file} is not there, or is no JSON; build the bundle with data.yaml`);
  }
  if (!isObject(data) || !isObject(data.settings))
    throw new OperatorError(`${file} has no "settings"; build the bundle with data.yaml at its root`);
  return JSON.stringify({ settings: data.settings });
}

/** The compiled policy of this version, where it is the same module. */
function packaged(wasmSha256: string): { manifest: Manifest; cases: string } | undefined {
  const dir = join(PACKAGED, 'compiled');
  const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')));
  return manifest.wasm_sha256 === wasmSha256
    ? { manifest, cases: readFileSync(join(dir, 'cases.json'), 'utf8') }
    : undefined;
}

async function manifestOf(dir: string, wasmSha256: string, options: FindOpaOptions): Promise<Manifest> {
  const opa = await findOpa({ ...options, build: false });
  if (!opa)
    throw new OperatorError(
      'a bundle of "opa build" with rules of a site needs OPA here to read its METADATA; sign what "sallyport policy build" made ("sallyport policy sign"), or put OPA on PATH',
    );
  const sources = hashSources(dir);
  const modules = await parseModules(dir, Object.keys(sources), opa);
  return {
    version: 1,
    opa: opa.version,
    entrypoints: [...ENTRYPOINTS],
    wasm_sha256: wasmSha256,
    sources,
    reasons: reasonsOf(modules),
    reads_arguments: argumentsRead(modules),
    literals: literalsCompared(modules),
  };
}
