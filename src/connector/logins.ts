// Whether the backends take the logins of the connector. One line and one alert when they begin to fail, and one line when they
// work again: one for each would be one for every call. An account that is refused again and again is told apart: some
// applications lock it after a few times.
import type { AuditEvents } from '../audit/events/events.ts';
import type { OpsLog } from '../audit/ops.ts';
import { BoundedCache } from '../core/bounded-cache.ts';
import type { LoginClient, SessionEvents } from '../session/events.ts';

export interface LoginWatch {
  /** What is told here is told on. */
  readonly events: SessionEvents;
  /** By backend, why the last login there failed. */
  failing(): ReadonlyMap<string, string>;
}

/** So many refusals in a row are told: applications that lock accounts do it after five or more (ASVS 6.3.1). */
const TOLD_AFTER = 3;
/** Most accounts that are counted at the same time. */
const MOST_ACCOUNTS = 10_000;

/** `ownAccounts`: the backends at which clients have accounts of their own. */
export function watchLogins(
  { session, loginsFail, accountRefused }: Pick<AuditEvents, 'session' | 'loginsFail' | 'accountRefused'>,
  ops: OpsLog,
  ownAccounts: ReadonlySet<string>,
): LoginWatch {
  const failing = new Map<string, string>();
  const [told, well] = [new Set<string>(), new Set<string>()];
  const refused = new BoundedCache<string, number>(MOST_ACCOUNTS);
  const accountOf = (backend: string, { id, subject, issuer }: LoginClient) =>
    JSON.stringify(ownAccounts.has(backend) ? [backend, id, subject, issuer] : [backend]);

  function countRefusal(backend: string, client: LoginClient): void {
    const account = accountOf(backend, client);
    const times = (refused.get(account) ?? 0) + 1;
    refused.set(account, times);
    if (times >= TOLD_AFTER) accountRefused(backend, times, ownAccounts.has(backend) ? { ...client } : undefined);
  }

  return {
    events(event) {
      if (event.type === 'login_failed') {
        const { backend, detail, client } = event;
        if (!failing.has(backend)) ops.warn('the backend does not take the login', { backend, detail });
        failing.set(backend, detail);
        // The account of one client says nothing about the backend.
        if (!(event.refused && ownAccounts.has(backend)) && !told.has(backend)) {
          told.add(backend);
          loginsFail(backend, detail);
        }
        if (event.refused) countRefusal(backend, client);
      } else if (event.type === 'session_opened' || event.type === 'session_rotated') {
        const { backend, bound, issuer } = event.record;
        refused.delete(accountOf(backend, { id: bound.client_id, subject: bound.subject, issuer }));
        if (failing.delete(backend)) ops.info('the backend takes the login again', { backend });
        // Also with the first login since the start: it may have failed before that.
        if (told.delete(backend) || !well.has(backend)) loginsFail(backend, undefined);
        well.add(backend);
      }
      return session(event);
    },
    failing: () => failing,
  };
}
