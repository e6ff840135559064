// Whether the policy folder still holds what decides. A reload takes no policy into use (a nightly signal must not activate
// a half-edited file), but it says that another one waits for a restart.
import { messageOf } from '../core/errors.ts';
import { type Checked, type Reloadable, UNCHANGED } from '../core/files/reloadable.ts';
import { readCompiled, readSettings } from '../decision/bundle.ts';
import type { PolicyPlace } from '../decision/data/paths.ts';
import { hashSources } from '../decision/manifest.ts';
import { canonicalJson } from '../formats/json.ts';
import { isArchive, stampOf } from './signed/files.ts';

/** What is in the folder: rules and settings, and what was compiled of them, if anything was. */
interface Found {
  rules: string;
  wasm: string | undefined;
}

/** What was seen at one look; `problem` where it cannot be used. */
export type Seen = Found | { problem: string };

/** The policy folder as a part that a reload only looks at. */
export interface PolicyOnDisk extends Reloadable {
  /** What is there now. Never throws. */
  seen(): Seen;
  /** What was seen before it was loaded has been taken into use. */
  taken(seen: Seen): void;
}

/**
 * To be made when the policy has just been loaded. `signed`: only what was signed is used, and nothing that was not verified
 * is parsed here either.
 */
export function policyOnDisk(place: PolicyPlace, signed: boolean): PolicyOnDisk {
  const look = (): Found =>
    signed || isArchive(place.dir)
      ? { rules: stampOf(place.dir), wasm: 'signed' }
      : {
          rules: canonicalJson({ sources: hashSources(place), settings: readSettings(place).settings } as never),
          wasm: readCompiled(place)?.manifest.wasm_sha256,
        };
  const seen = (): Seen => {
    try {
      return look();
    } catch (thrown) {
      return { problem: messageOf(thrown) };
    }
  };
  let first = seen();
  const check = (): Checked => {
    const now = seen();
    if ('problem' in now) return { result: 'restart_fails', detail: now.problem };
    // A policy that was compiled in memory may have been built since.
    const same = 'rules' in first && now.rules === first.rules && (first.wasm === undefined || now.wasm === first.wasm);
    if (same) return UNCHANGED;
    const [sooner, built] = ['"sallyport policy activate" takes it into use', '"sallyport policy build" comes first'];
    const detail = `the folder has changed; ${now.wasm === undefined ? built : sooner}`;
    return { result: 'needs_restart', detail };
  };
  return {
    part: 'policy',
    check,
    seen,
    taken(what) {
      first = what;
    },
  };
}
