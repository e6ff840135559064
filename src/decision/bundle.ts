// Loads a policy folder. The compiled WASM is used when it belongs to the Rego sources; otherwise the sources are
// checked and compiled; without a compiler there is one clear error. A stale policy is never served.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../core/errors.ts';
import { canonicalJson } from '../formats/json.ts';
import { type PolicyPaths, type PolicyPlace, policyPaths, shown } from './data/paths.ts';
import { readSettingsAt } from './data/read.ts';
import { refuseSiteData } from './data/site-files.ts';
import {
  type Compiled,
  differingSources,
  GATE_VERSION,
  hashSchemas,
  hashSiteSchema,
  hashSources,
  hashSourcesAt,
  type Manifest,
  manifestSchema,
  sha256,
} from './manifest.ts';
import type { LoadedSettings, SettingsFile } from './settings.ts';

/** A policy that may be evaluated, with the names by which an auditor knows it. */
export interface Bundle {
  /** The bytes of the module. */
  wasm: Buffer;
  module: WebAssembly.Module;
  settings: LoadedSettings;
  settingsFile: SettingsFile;
  manifest: Manifest;
  wasmSha256: string;
  /** First 16 hex digits of a SHA-256 over the hash of the WASM and the settings: one name for both. */
  revision: string;
  /** The cases that travel with the compiled policy; undefined when there are none. */
  cases: string | undefined;
  /** Why nothing vouches for the compiled policy, as the beginning of a sentence; undefined for one compiled just now. */
  unverified: string | undefined;
  /** Where it was signed, and that was verified. */
  signed?: Signature | undefined;
}

/** The signature of a policy, and what it is for. */
export interface Signature {
  /** Name of the key in `policy.keys`. */
  key: string;
  /** When it was signed, in seconds since 1970; undefined where the signature does not say so. */
  issued: number | undefined;
  /** All files, by name: with them it can be verified again. */
  files: ReadonlyMap<string, Uint8Array>;
}

/**
 * Checks and compiles the sources because the compiled policy does not belong to them; `why` says so, as the beginning
 * of a sentence. Rejects with an OperatorError when it cannot. Handed in, because what runs does not know the compiler.
 */
export type Recompile = (place: string | PolicyPlace, why: string) => Promise<Compiled>;

/** Loads a policy. Rejects with an OperatorError when anything in the folder must be fixed first. */
export async function loadBundle(place: string | PolicyPlace, recompile: Recompile): Promise<Bundle> {
  const paths = policyPaths(place);
  refuseSiteData(paths);
  const settingsFile = readSettingsAt(paths);
  const { settings } = settingsFile;
  const found = readCompiled(place);
  const { wasm, manifest, cases } = found ?? (await recompile(place, staleness(paths)));
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(new Uint8Array(wasm));
  } catch {
    throw new OperatorError(
      `${join(paths.compiled, 'policy.wasm')} is not a WebAssembly module; run "sallyport policy build"`,
    );
  }
  const wasmSha256 = sha256(wasm);
  return {
    wasm,
    module,
    settings,
    settingsFile,
    manifest,
    wasmSha256,
    revision: revisionOf(wasmSha256, settings),
    cases,
    unverified: found ? unverified(manifest) : undefined,
  };
}

/** One name for a module and its settings. */
export const revisionOf = (wasmSha256: string, settings: LoadedSettings): string =>
  sha256(`${wasmSha256}\n${canonicalJson(settings)}`).slice(0, 16);

/** A verdict beside the WASM is as easy to write as the WASM, so under `policy.require: none` nothing is proven by it. */
function unverified({ gate }: Manifest): string {
  return gate === undefined || gate.version < GATE_VERSION
    ? 'the compiled policy was checked by an older gate, or by none'
    : 'the verdict on the compiled policy stands beside it and is not signed';
}

/**
 * Answers the compiled policy when its manifest, WASM, sources and whatever else the gate looked at all belong together,
 * otherwise undefined. A folder without rules of its own is decided by the compiled policy of the package.
 */
export function readCompiled(place: string | PolicyPlace): Compiled | undefined {
  const paths = policyPaths(place);
  return compiledIn(paths.compiled, paths, place) ?? compiledIn(join(paths.shipped, 'compiled'), paths, place);
}

function compiledIn(dir: string, paths: PolicyPaths, place: string | PolicyPlace): Compiled | undefined {
  const [wasmFile, manifestFile] = [join(dir, 'policy.wasm'), join(dir, 'manifest.json')];
  if (!existsSync(wasmFile) || !existsSync(manifestFile)) return undefined;
  const [wasm, text] = [readable(wasmFile), readable(manifestFile)];
  if (!wasm || !text) return undefined;
  const manifest = parseManifest(text.toString('utf8'));
  if (!manifest || manifest.wasm_sha256 !== sha256(wasm)) return undefined;
  if (differingSources(manifest.sources, hashSources(place)).length > 0) return undefined;
  const { gate } = manifest;
  if (!gate) return { wasm, manifest };
  const casesFile = join(dir, 'cases.json');
  const cases = existsSync(casesFile) ? readable(casesFile)?.toString('utf8') : undefined;
  const same =
    gate.schemas === hashSchemas(paths) &&
    gate.site_schema === hashSiteSchema(paths) &&
    gate.cases === sha256(cases ?? '');
  return same ? { wasm, manifest, cases } : undefined;
}

/** The content of a file; undefined for one that cannot be read, which is then as if it were stale. */
function readable(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Reads and checks data.yaml. Throws one OperatorError that lists every problem with file and line. */
export function loadSettings(place: string | PolicyPlace): LoadedSettings {
  return readSettings(place).settings;
}

/** Does the same as `loadSettings`, and also answers what is needed to name a line of the file. */
export function readSettings(place: string | PolicyPlace): SettingsFile {
  return readSettingsAt(policyPaths(place));
}

/** Throws an OperatorError when there is nothing to compile. */
function staleness(paths: PolicyPaths): string {
  const sources = hashSourcesAt(paths);
  if (Object.keys(sources).length === 0)
    throw new OperatorError(`${join(paths.shipped, 'sallyport')} holds no Rego source`);
  return `the compiled policy in ${shown(paths.compiled)} does not belong to the Rego sources${staleNames(paths, sources)}`;
}

function staleNames({ compiled }: PolicyPaths, sources: Record<string, string>): string {
  const file = join(compiled, 'manifest.json');
  const manifest = parseManifest(readable(file)?.toString('utf8') ?? '');
  if (!manifest) return '';
  const names = differingSources(manifest.sources, sources);
  return names.length > 0 ? ` (changed: ${names.join(', ')})` : ' as they were checked (schemas or cases changed)';
}

function parseManifest(text: string): Manifest | undefined {
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
