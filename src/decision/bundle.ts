// Loads a policy folder. The compiled WASM is used when it belongs to the Rego sources; otherwise the sources are
// compiled; without a compiler there is one clear error. A stale policy is never served.
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { OperatorError } from '../core/errors.ts';
import { canonicalJson } from '../formats/json.ts';
import { formatProblem, parseYaml } from '../formats/yaml.ts';
import { type Compiled, differingSources, hashSources, type Manifest, manifestSchema, sha256 } from './manifest.ts';
import { type Settings, type SettingsFile, settingsSchema } from './settings.ts';

/** A policy that may be evaluated, with the names by which an auditor knows it. */
export interface Bundle {
  module: WebAssembly.Module;
  settings: Settings;
  settingsFile: SettingsFile;
  manifest: Manifest;
  wasmSha256: string;
  /** First 16 hex digits of a SHA-256 over the hash of the WASM and the settings: one name for both. */
  revision: string;
}

/**
 * Compiles the sources in `dir` because the compiled policy does not belong to them; `why` says so, as the beginning
 * of a sentence. Rejects with an OperatorError when it cannot. Handed in, because what runs does not know the compiler.
 */
export type Recompile = (dir: string, why: string) => Promise<Compiled>;

/** Loads the policy in `dir`. Rejects with an OperatorError when anything in the folder must be fixed first. */
export async function loadBundle(dir: string, recompile: Recompile): Promise<Bundle> {
  const settingsFile = readSettings(dir);
  const { settings } = settingsFile;
  const { wasm, manifest } = readCompiled(dir) ?? (await recompile(dir, staleness(dir)));
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(new Uint8Array(wasm));
  } catch {
    throw new OperatorError(
      `${join(dir, 'compiled', 'policy.wasm')} is not a WebAssembly module; run "sallyport policy build"`,
    );
  }
  const wasmSha256 = sha256(wasm);
  return {
    module,
    settings,
    settingsFile,
    manifest,
    wasmSha256,
    revision: sha256(`${wasmSha256}\n${canonicalJson(settings)}`).slice(0, 16),
  };
}

/** Answers the compiled policy when its manifest, WASM and sources all belong together, otherwise undefined. */
export function readCompiled(dir: string): Compiled | undefined {
  const [wasmFile, manifestFile] = [join(dir, 'compiled', 'policy.wasm'), join(dir, 'compiled', 'manifest.json')];
  if (!existsSync(wasmFile) || !existsSync(manifestFile)) return undefined;
  const wasm = readFileSync(wasmFile);
  const manifest = parseManifest(readFileSync(manifestFile, 'utf8'));
  if (!manifest || manifest.wasm_sha256 !== sha256(wasm)) return undefined;
  return differingSources(manifest.sources, hashSources(dir)).length === 0 ? { wasm, manifest } : undefined;
}

/** Reads and checks data.yaml. Throws one OperatorError that lists every problem with file and line. */
export function loadSettings(dir: string): Settings {
  return readSettings(dir).settings;
}

/** Does the same as `loadSettings`, and also answers what is needed to name a line of the file. */
export function readSettings(dir: string): SettingsFile {
  const path = join(dir, 'data.yaml');
  if (!existsSync(path)) {
    throw new OperatorError(`${path} is missing: a policy folder holds sallyport/*.rego and data.yaml`);
  }
  const file = relative('', path) || path;
  const parsed = parseYaml(readFileSync(path, 'utf8'), z.strictObject({ settings: settingsSchema }), { file });
  if (!parsed.ok) throw new OperatorError(parsed.problems.map(formatProblem).join('\n'));
  return { settings: parsed.value.settings, file, lineOf: parsed.at };
}

/** Throws an OperatorError when there is nothing to compile. */
function staleness(dir: string): string {
  const sources = hashSources(dir);
  if (Object.keys(sources).length === 0) throw new OperatorError(`${join(dir, 'sallyport')} holds no Rego source`);
  return `the compiled policy in ${join(dir, 'compiled')} does not belong to the Rego sources${staleNames(dir, sources)}`;
}

function staleNames(dir: string, sources: Record<string, string>): string {
  const file = join(dir, 'compiled', 'manifest.json');
  const manifest = existsSync(file) ? parseManifest(readFileSync(file, 'utf8')) : undefined;
  const names = manifest ? differingSources(manifest.sources, sources) : [];
  return names.length > 0 ? ` (changed: ${names.join(', ')})` : '';
}

function parseManifest(text: string): Manifest | undefined {
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
