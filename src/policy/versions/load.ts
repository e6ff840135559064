// Loads a version so that it can be asked and read. It is compiled where what was compiled does not belong to it, and the gate
// is not asked: an older version was judged by the gate of its time, and a newer one is judged by "policy check".
import { join } from 'node:path';
import { type Bundle, readCompiled, readSettings, revisionOf } from '../../decision/bundle.ts';
import { type PolicyPaths, policyPaths, shown } from '../../decision/data/paths.ts';
import { refuseSiteData } from '../../decision/data/site-files.ts';
import { backing, createEvaluator, type Evaluator } from '../../decision/evaluator.ts';
import { hashSources, type Manifest } from '../../decision/manifest.ts';
import type { LoadedSettings, SettingsFile } from '../../decision/settings.ts';
import { compileStage } from '../compiler.ts';
import { noCompilerError, type Opa } from '../opa.ts';
import { type Module, parseModules } from '../rego/modules.ts';
import { inputRead } from '../rego/reads.ts';
import { argumentsRead } from '../rego/reasons.ts';
import { withStage } from '../run/stage.ts';
import { isOpaBuilt, loadOpaBuilt } from '../signed/opa-built.ts';
import type { Version } from './version.ts';

/** What a policy reads of an input. */
export interface Reads {
  /** Names of arguments, each with the tools that its rules are for, an empty list for any; undefined: it may read all. */
  arguments: Readonly<Record<string, readonly string[]>> | undefined;
  /** Paths below the input; undefined: it may read all. */
  input: readonly string[] | undefined;
}

/** What is needed to ask a policy. It can be given to a thread. */
export interface Askable {
  module: WebAssembly.Module;
  settings: LoadedSettings;
  reasons: Manifest['reasons'];
  revision: string;
  reads: Reads;
}

/** A version that can be asked and read. */
export interface LoadedVersion extends Askable {
  name: string;
  commit: string | undefined;
  manifest: Manifest;
  settingsFile: SettingsFile;
  paths: PolicyPaths;
  tests: string | undefined;
  /** The rules; undefined where there is no OPA to read them, or none are there to be read. */
  modules: readonly Module[] | undefined;
}

/** `opa`: undefined where there is none, which is enough for what was compiled before. Rejects with an OperatorError. */
export async function loadVersion(
  { name, commit, place, tests, named }: Version,
  opa: Opa | undefined,
): Promise<LoadedVersion> {
  const paths = policyPaths(place);
  const known = { name, commit, paths, tests };
  if (isOpaBuilt(paths.dir)) {
    const bundle = await loadOpaBuilt(paths.dir, { build: false });
    // OPA wrote its rules anew, so only the module says what it reads.
    return { ...known, ...partsOf(bundle), modules: undefined, reads: { arguments: undefined, input: undefined } };
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
  return { ...known, ...partsOf(bundle), modules, reads };
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

/** Longest evaluation, in milliseconds: nobody waits for it, and a busy machine may put it aside. */
const BUDGET_MS = 10_000;

/** Opens a policy. Throws an OperatorError for one that cannot be asked. */
export function evaluatorOf({
  module,
  settings,
  reasons,
}: Pick<Askable, 'module' | 'settings' | 'reasons'>): Evaluator {
  const isDescribed = Object.keys(reasons).length > 0;
  return createEvaluator({
    ...{ module, data: { settings }, budgetMs: BUDGET_MS },
    ...(isDescribed && { backing: backing({ reasons }) }),
  });
}
