// Revocations and epoch of one process. A new process is a new epoch: nothing that was remembered
// before counts any more, and DPoP nonces of the old one are void.
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { type ControlPort, selectorText } from '../../session/control.ts';

export function createMemoryControl(clock: Clock): ControlPort {
  const revocations = new Map<string, number>();
  const epoch = randomUUID();
  const since = clock.now();
  let revision = 0;
  return {
    read: async () => ({ epoch, since, lost: false, revision, revocations }),
    async revoke(selector) {
      revision += 1;
      revocations.set(selectorText(selector), revision);
    },
  };
}
