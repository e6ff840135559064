// Opens a stored session for one call. Whatever is handed out belongs to the client and the place of that call.
import { samePlace } from '../bound.ts';
import { type Acquired, refusedSession, type SessionRequest } from '../contract.ts';
import type { Ending } from '../end/ending.ts';
import type { SessionRecord } from '../record.ts';
import type { SessionSnapshot } from '../store.ts';
import type { InUse } from '../use/in-use.ts';
import type { KeepAlive } from '../use/keep-alive.ts';
import type { Vault } from '../vault.ts';
import type { AccountRef } from './account-ref.ts';

export interface HandOut {
  /** Hands out the session the decision was about. */
  own(record: SessionRecord, request: SessionRequest): Promise<Acquired>;
  /**
   * Hands out a session that no decision has looked at, because another call opened or rotated it in the
   * meantime: only when it has the same account and is bound to the same place. Else `session.changed`.
   */
  other(record: SessionRecord, request: SessionRequest): Promise<Acquired>;
  /**
   * The session is no longer the one the decision observed: hands out what there is `now`, unless a revocation
   * came in between, after which nothing may be brought back.
   */
  instead(observed: SessionSnapshot, now: SessionSnapshot, request: SessionRequest): Promise<Acquired>;
}

export interface HandOutOptions {
  vault: Vault;
  inUse: InUse;
  keepAlive: KeepAlive;
  ending: Ending;
  accountRef: AccountRef;
}

export function createHandOut({ vault, inUse, keepAlive, ending, accountRef }: HandOutOptions): HandOut {
  async function own(record: SessionRecord, request: SessionRequest): Promise<Acquired> {
    const { backend, owner } = request;
    // A row that somebody moved under the key of another client still names its old owner, and is not opened.
    const belongs = record.owner === owner && record.backend === backend.name;
    const backendToken = belongs ? vault.open(record) : undefined;
    if (backendToken) {
      keepAlive.used(record, backendToken);
      return { ok: true, session: { record, backendToken, release: inUse.take(record) } };
    }
    // Its sealing key was retired, or somebody has changed the row. It is removed, so that the next
    // call logs in; and logged out, where that can still be done.
    if (belongs && vault.openToEnd(record)) await ending.end(record, 'its sealing key was retired', record);
    else await ending.discard({ backend: backend.name, owner }, record);
    return refusedSession('session.unavailable', 'the stored session does not open for this owner');
  }

  async function other(record: SessionRecord, request: SessionRequest): Promise<Acquired> {
    return accountRef(request.account) === record.account && samePlace(record.bound, request.bound)
      ? own(record, request)
      : refusedSession('session.changed', 'another call bound the session elsewhere');
  }

  return {
    own,
    other,
    async instead(observed, now, request) {
      if (now.revocations !== observed.revocations)
        return refusedSession('session.revoked', 'revoked since the decision');
      return now.record ? other(now.record, request) : refusedSession('session.revoked', 'the session is gone');
    },
  };
}
