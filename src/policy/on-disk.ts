// Whether the policy folder still holds what decides. A reload takes no policy into use (a nightly signal must not activate
// a half-edited file), but it says that another one waits for a restart.
import { messageOf } from '../core/errors.ts';
import { type Checked, type Reloadable, UNCHANGED } from '../core/files/reloadable.ts';
import { readCompiled, readSettings } from '../decision/bundle.ts';
import type { PolicyPlace } from '../decision/data/paths.ts';
import { hashOf, hashSources } from '../decision/manifest.ts';
import { canonicalJson } from '../formats/json.ts';
import { isArchive } from './signed/files.ts';

/** What is in the folder: rules and settings, and what was compiled of them, if anything was. */
interface Found {
  rules: string;
  wasm: string | undefined;
}

/** The policy folder as a part that a reload only looks at. */
export interface PolicyOnDisk extends Reloadable {
  /** The folder has just been taken into use as it is. */
  taken(): void;
  /** What is there now, as one text; also where it cannot be used. */
  seen(): string;
}

/** To be made when the policy has just been loaded. */
export function policyOnDisk(place: PolicyPlace): PolicyOnDisk {
  const ofFolder = (): Found => ({
    rules: canonicalJson({ sources: hashSources(place), settings: readSettings(place).settings } as never),
    wasm: readCompiled(place)?.manifest.wasm_sha256,
  });
  const look = (): Found => (isArchive(place.dir) ? { rules: hashOf(place.dir), wasm: 'in the bundle' } : ofFolder());
  let first = look();
  const check = (): Checked => {
    let now: Found;
    try {
      now = look();
    } catch (thrown) {
      return { result: 'restart_fails', detail: messageOf(thrown) };
    }
    // A policy that was compiled in memory may have been built since.
    const same = now.rules === first.rules && (first.wasm === undefined || now.wasm === first.wasm);
    if (same) return UNCHANGED;
    const [sooner, built] = ['"sallyport policy activate" takes it into use', '"sallyport policy build" comes first'];
    const detail = `the folder has changed; ${now.wasm === undefined ? built : sooner}`;
    return { result: 'needs_restart', detail };
  };
  return {
    part: 'policy',
    check,
    taken() {
      first = look();
    },
    seen() {
      try {
        return JSON.stringify(look());
      } catch (thrown) {
        return messageOf(thrown);
      }
    },
  };
}
