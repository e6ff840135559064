// Revocations and epoch of one process. A new process is a new epoch: nothing that was remembered
// before counts any more, and DPoP nonces of the old one are void.
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type ControlPort, selectorText } from '../../session/control.ts';

/** Too many selectors, and one revocation of all takes the place of each. */
const SELECTORS = 10_000;

export function createMemoryControl(clock: Clock): ControlPort {
  const revocations = new Map<string, number>();
  const epoch = randomUUID();
  const since = clock.now();
  let revision = 0;
  return {
    read: async () => ({ epoch, since, lost: false, lastRevocation: revision, revocations }),
    async revoke(selector) {
      revision += 1;
      const all = 'all' in selector || revocations.size >= SELECTORS;
      if (all) revocations.clear();
      revocations.set(all ? 'all' : selectorText(selector), revision);
    },
  };
}
