// The revocations and the epoch of one process. A new process begins a new epoch: nothing that was remembered before
// counts any more, and DPoP nonces of the old epoch are void.
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type ControlPort, selectorText } from '../../session/control.ts';

/**
 * Most selectors. When there are more, one revocation of all takes the place of each. It ends more sessions than were
 * meant, but never fewer.
 */
const SELECTORS = 10_000;

/** The control state of a single process. Every read is up to date. */
export function createMemoryControl(clock: Clock): ControlPort {
  const revocations = new Map<string, number>();
  const epoch = randomUUID();
  const since = clock.now();
  let lastRevocation = 0;
  return {
    read: async () => ({ epoch, since, lost: false, lastRevocation, revocations }),
    async revoke(selector) {
      lastRevocation += 1;
      const all = 'all' in selector || revocations.size >= SELECTORS;
      if (all) revocations.clear();
      revocations.set(all ? 'all' : selectorText(selector), lastRevocation);
    },
  };
}
