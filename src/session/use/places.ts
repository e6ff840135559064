// Calls at a time at one backend, over all replicas. A call that finds no place waits for one as long as one request may take.
import { randomUUID } from 'node:crypto';
import type { BackendPort, CallRequest, CallResult } from '../../backend/port.ts';
import type { RefusalCode } from '../../decision/refusal-codes.ts';
import type { BackendQuotas } from '../quotas.ts';

/** How long a place is kept without word from its call; it is asked for anew three times in that time. */
const LEASE_MS = 15_000;
/** How long to wait, on average, before a place is asked for again. */
const WAIT_MS = 40;

/** The backends, each of which keeps to its calls at a time. */
export const withPlaces = (
  backends: ReadonlyMap<string, BackendPort>,
  quotas: BackendQuotas,
): ReadonlyMap<string, BackendPort> =>
  new Map([...backends].map(([name, backend]) => [name, limited(backend, quotas)]));

function limited(backend: BackendPort, quotas: BackendQuotas): BackendPort {
  const { name, quota } = backend;
  const most = quota.calls;
  if (most === undefined) return backend;

  /** Takes a place, or answers why there is none. */
  async function enter(call: string, { signal }: CallRequest): Promise<CallResult | undefined> {
    const end = performance.now() + quota.waitMs;
    for (;;) {
      if (signal.aborted)
        return unsent(signal.cause === 'stopping' ? 'call.cut_short' : 'call.cancelled', 'while it waited for a place');
      try {
        if (await quotas.enter(name, call, most as number, LEASE_MS)) return undefined;
      } catch {
        return unsent('session.unavailable', 'the store did not answer');
      }
      if (performance.now() > end) return unsent('backend.overloaded', `${most} calls at a time, over all replicas`);
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS * (0.5 + Math.random())));
    }
  }

  return {
    ...backend,
    async call(request) {
      const call = randomUUID();
      const refused = await enter(call, request);
      if (refused) return refused;
      const renewing = setInterval(() => {
        quotas.enter(name, call, most, LEASE_MS).catch(() => {});
      }, LEASE_MS / 3);
      try {
        return await backend.call(request);
      } finally {
        clearInterval(renewing);
        // What the store does not hear ends with its lease.
        void quotas.leave(name, call).catch(() => {});
      }
    },
  };
}

const unsent = (code: RefusalCode, detail: string): CallResult => ({
  kind: 'failed',
  code,
  detail,
  status: null,
  outcome: 'not_sent',
});
