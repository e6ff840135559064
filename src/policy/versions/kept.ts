// A policy that a connector keeps in its state folder (`policies/<revision>`): module, manifest and settings, without sources.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { type Bundle, revisionOf } from '../../decision/bundle.ts';
import { manifestSchema, sha256 } from '../../decision/manifest.ts';
import { loadedSettingsSchema } from '../../decision/settings.ts';

const [WASM, MANIFEST, SETTINGS] = ['policy.wasm', 'manifest.json', 'settings.json'];

/** Whether a folder is one. */
export const isKept = (dir: string): boolean => [WASM, MANIFEST, SETTINGS].every((name) => existsSync(join(dir, name)));

/** Throws an OperatorError for one whose parts do not belong together. `shown`: as messages name it. */
export function readKept(
  dir: string,
  shown: string,
): Pick<Bundle, 'module' | 'settings' | 'settingsFile' | 'manifest' | 'revision'> {
  try {
    const wasm = readFileSync(join(dir, WASM));
    const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(dir, MANIFEST), 'utf8')));
    const settings = loadedSettingsSchema.parse(JSON.parse(readFileSync(join(dir, SETTINGS), 'utf8')));
    if (sha256(wasm) !== manifest.wasm_sha256) throw new OperatorError('the module is not that of the manifest');
    return {
      ...{ settings, manifest, module: new WebAssembly.Module(new Uint8Array(wasm)) },
      settingsFile: { settings, file: join(shown, SETTINGS), lineOf: () => 1 },
      revision: revisionOf(manifest.wasm_sha256, settings),
    };
  } catch (thrown) {
    throw new OperatorError(`${shown} is no policy that a connector has kept: ${messageOf(thrown)}`);
  }
}
