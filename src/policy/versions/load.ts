// Loads a version so that it can be asked and read. It is compiled where what was compiled does not belong to it, and the gate
// is not asked: an older version was judged by the gate of its time, and a newer one is judged by "policy check".
import { join } from 'node:path';
import { type Bundle, readCompiled, readSettings, revisionOf } from '../../decision/bundle.ts';
import { type PolicyPaths, policyPaths, shown } from '../../decision/data/paths.ts';
import { refuseSiteData } from '../../decision/data/site-files.ts';
import { hashSources, type Manifest } from '../../decision/manifest.ts';
import type { SettingsFile } from '../../decision/settings.ts';
import { compileStage } from '../compiler.ts';
import { noCompilerError, type Opa } from '../opa.ts';
import { type Module, parseModules } from '../rego/modules.ts';
import { inputRead } from '../rego/reads.ts';
import { argumentsRead } from '../rego/reasons.ts';
import { withStage } from '../run/stage.ts';
import { isOpaBuilt, loadOpaBuilt } from '../signed/opa-built.ts';
import type { Askable, Reads } from './ask.ts';
import { isKept, readKept } from './kept.ts';
import type { Version } from './version.ts';

/** A version that can be asked and read. */
export interface LoadedVersion extends Askable {
  name: string;
  commit: string | undefined;
  manifest: Manifest;
  settingsFile: SettingsFile;
  paths: PolicyPaths;
  tests: string | undefined;
  /** Whether sources and tests are there, and not only what was compiled. */
  hasSources: boolean;
  /** The rules; undefined where there is no OPA to read them, or none are there to be read. */
  modules: readonly Module[] | undefined;
}

const COMPILED_ONLY = { hasSources: false, modules: undefined, reads: { arguments: undefined, input: undefined } };

/** `opa`: undefined where there is none, which is enough for what was compiled before. Rejects with an OperatorError. */
export async function loadVersion(
  { name, commit, place, tests, named }: Version,
  opa: Opa | undefined,
): Promise<LoadedVersion> {
  const paths = policyPaths(place);
  const known = { name, commit, paths, tests };
  if (isKept(paths.dir)) {
    const kept = readKept(paths.dir, name);
    return { ...known, ...partsOf(kept), ...COMPILED_ONLY };
  }
  if (isOpaBuilt(paths.dir)) {
    const bundle = await loadOpaBuilt(paths.dir, { build: false });
    // OPA wrote its rules anew, so only the module says what it reads.
    return { ...known, ...partsOf(bundle), ...COMPILED_ONLY };
  }
  refuseSiteData(paths);
  const settingsFile = { ...readSettings(place), file: named(join(paths.dir, 'data.yaml')) };
  const sources = hashSources(place);
  const found = readCompiled(place);
  if (!opa && !found) throw noCompilerError(`the policy in ${shown(paths.dir)} must be compiled`);
  const parsed =
    opa && Object.keys(sources).length > 0
      ? await withStage(paths, async (stage) => {
          const modules = await parseModules(stage.dir, stage.sources, opa);
          const compiled = found ?? (await compileStage(stage, modules, opa, sources));
          return { modules, compiled };
        })
      : undefined;
  const { wasm, manifest } = parsed?.compiled ?? (found as NonNullable<typeof found>);
  const { settings } = settingsFile;
  const bundle = {
    ...{ settings, settingsFile, manifest },
    module: new WebAssembly.Module(new Uint8Array(wasm)),
    revision: revisionOf(manifest.wasm_sha256, settings),
  };
  const modules = parsed?.modules;
  const reads: Reads = modules
    ? { arguments: argumentsRead(modules), input: inputRead(modules) }
    : { arguments: forAnyTool(manifest.reads_arguments), input: undefined };
  return { ...known, ...partsOf(bundle), hasSources: true, modules, reads };
}

/** Which tools a rule is for was told less carefully by earlier versions. */
const forAnyTool = (read: Manifest['reads_arguments']): Reads['arguments'] =>
  read && Object.fromEntries(Object.keys(read).map((name) => [name, []]));

const partsOf = ({
  module,
  settings,
  settingsFile,
  manifest,
  revision,
}: Pick<Bundle, 'module' | 'settings' | 'settingsFile' | 'manifest' | 'revision'>) => ({
  ...{ module, settings, settingsFile, manifest, revision },
  reasons: manifest.reasons,
});
