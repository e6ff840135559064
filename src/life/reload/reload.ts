// One reload for everything that can be read again: all parts are checked first, and where one of them cannot be used none
// of them changes. A half of a new certificate, or clients without the accounts that go with them, would be worse than what
// was there before.
import { messageOf } from '../../core/errors.ts';
import type { Reloadable } from '../../core/files/reloadable.ts';

/** What became of one part. */
export interface ReloadedPart {
  part: string;
  result: 'unchanged' | 'changed' | 'needs_restart' | 'restart_fails' | 'refused';
  detail?: string;
}

/** `ok`: nothing was refused. Otherwise what was in force before still is, of every part. */
export interface Reloaded {
  ok: boolean;
  parts: ReloadedPart[];
}

export function reload(parts: readonly Reloadable[]): Reloaded {
  const checked = parts.map((reloadable) => {
    const { part } = reloadable;
    try {
      return { part, found: reloadable.check() };
    } catch (thrown) {
      return { part, refused: messageOf(thrown) };
    }
  });
  const ok = checked.every(({ refused }) => refused === undefined);
  const report = checked.map(({ part, found, refused }): ReloadedPart => {
    if (refused !== undefined) return { part, result: 'refused', detail: refused };
    // Nothing is changed when something was refused; what waits for a restart waits all the same.
    if (found.result === 'unchanged' || (!ok && found.result === 'changed')) return { part, result: 'unchanged' };
    const { result, detail } = found;
    const more = ok && 'atOnce' in found ? `; at once: ${found.atOnce}` : '';
    return { part, result, ...(detail !== undefined && { detail: `${detail}${more}` }) };
  });
  if (!ok) return { ok, parts: report };
  // What was checked can be used; should one fail all the same, the others are not kept from it, and the report says so.
  const applied = checked.map(({ part, found }, i): ReloadedPart => {
    try {
      if (found && 'apply' in found) found.apply?.();
      return report[i] as ReloadedPart;
    } catch (thrown) {
      return { part, result: 'refused', detail: messageOf(thrown) };
    }
  });
  return { ok: applied.every(({ result }) => result !== 'refused'), parts: applied };
}
