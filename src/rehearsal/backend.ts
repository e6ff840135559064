// The legacy side of a rehearsal: it takes every login and answers every call. What is rehearsed is what happens before it.
import type { BackendPort } from '../backend/port.ts';
import { Secret } from '../core/secret.ts';

const ACCOUNT = { key: '', credentials: {} };

export function willingBackend(name: string): BackendPort {
  let logins = 0;
  return {
    name,
    drainMs: 0,
    loginLimitMs: 1000,
    quota: { calls: undefined, waitMs: 1000, perMinute: undefined, failures: { most: 1000, withinMs: 1000 } },
    oneAtATime: false,
    keepAliveTimes: undefined,
    account: () => ACCOUNT,
    async login() {
      logins += 1;
      return { ok: true, backendToken: new Secret({ cookies: [], values: { login: String(logins) } }) };
    },
    logout: async () => 'dead',
    call: async () => ({ kind: 'ok', status: 200, value: {} }),
    keepAlive: async () => ({ kind: 'ok' }),
    merge: (_base, mine) => mine,
    health: () => ({ circuit: 'closed', inFlight: 0, queued: 0, pausedSeconds: 0 }),
    close: async () => {},
  };
}
