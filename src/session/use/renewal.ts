// Takes what an answer has changed in a backend session into the store. The newest value is used; what it
// replaced is superseded: it belongs to its login, is never logged out while that login is in use, and ends with it.
import type { BackendPort, BackendTokenSecret, Changes } from '../../backend/port.ts';
import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import type { Ending } from '../end/ending.ts';
import { because, type SessionEvents } from '../events.ts';
import { pendingLogoutName, sameLogin } from '../pending.ts';
import { nextSerial, type SessionRecord } from '../record.ts';
import type { Seen } from '../seen.ts';
import type { SessionStore } from '../store.ts';
import type { Vault } from '../vault.ts';

/** The session that a call was made with, and the decision of that call. */
interface Used {
  record: SessionRecord;
  backendToken: BackendTokenSecret;
  decision?: string | undefined;
}

export interface Renewal {
  /**
   * Takes in what the answers of one call have changed, with which the call was made. `ended`: the last answer said
   * that the session has ended. Never rejects: what could not be stored is kept and tried again by `retry`.
   */
  apply(used: Used, changes: Changes, ended?: boolean): Promise<void>;
  /** Tries again to store what a failing store did not take. */
  retry(): Promise<void>;
}

export interface RenewalOptions {
  store: SessionStore;
  backends: ReadonlyMap<string, BackendPort>;
  vault: Vault;
  ending: Ending;
  seen: Seen;
  clock: Clock;
  events: SessionEvents;
  /** The session goes on with another backend token. */
  onRenewed: (from: SessionRecord, to: SessionRecord, backendToken: BackendTokenSecret) => void;
}

/** How often a value is tried to be stored while other answers store theirs. */
const TRIES = 20;
/** Most values that wait for a failing store. What goes beyond that is on record all the same. */
const UNSAVED = 1000;

export function createRenewal(options: RenewalOptions): Renewal {
  const { store, backends, vault, ending, seen, clock, events, onRenewed } = options;
  const unsaved = new BoundedCache<string, SessionRecord>(UNSAVED);

  const sealed = (of: SessionRecord, backendToken: BackendTokenSecret, generation: number): SessionRecord =>
    vault.seal({ ...of, generation, serial: nextSerial(of, clock.now()) }, backendToken);

  /** Keeps a value beside the one in use. When the login has ended meanwhile, nobody uses the value, and it is logged out. */
  async function supersede(value: SessionRecord): Promise<void> {
    if (!(await store.supersede(value, value))) await ending.discardToken(value, 'its login had ended');
  }

  async function orLater(value: SessionRecord, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch {
      // The store may have taken it although it did not answer. Both it and a value that is kept twice are told apart
      // by the fingerprint when the store answers again.
      unsaved.set(pendingLogoutName(value), value);
      await events({ type: 'logout_pending', record: value, cause: 'renewed, and the store did not answer' });
    }
  }

  /**
   * Age and uses go on from the login: a backend that sets a new cookie with each answer would otherwise keep one
   * login for ever, and the rotation of the policy would never come.
   */
  async function renew({ record, backendToken: base, decision }: Used, mine: BackendTokenSecret): Promise<void> {
    let present = record;
    let backendToken = mine;
    for (let i = 0; i < TRIES; i++) {
      const next = sealed(present, backendToken, present.generation + 1);
      if (await store.replace(present, present, next)) {
        ending.noteChange(record);
        seen.note(next);
        onRenewed(record, next, backendToken);
        const cause = because('the backend set a new cookie', decision);
        return void events({ type: 'session_renewed', record: next, cause });
      }
      const now = (await store.get(record)).record;
      ending.noteChange(record);
      if (!now || !sameLogin(now, record)) return void (await ending.discardToken(next, 'its login had ended'));
      const open = vault.open(now);
      if (!open) break;
      // Another answer was stored first. This one came later, so what it has changed is newer.
      present = now;
      backendToken = backends.get(record.backend)?.merge(base, mine, open) ?? mine;
      if (sealed(now, backendToken, 0).tokenFingerprint === now.tokenFingerprint) return;
    }
    await supersede(sealed(record, mine, record.generation));
  }

  return {
    async apply(session, { renewed, strays = [], unanswered }, ended = false) {
      const { record } = session;
      if (renewed && !ended) await orLater(sealed(record, renewed, record.generation), renew(session, renewed));
      for (const stray of ended && renewed ? [...strays, renewed] : strays) {
        const value = sealed(record, stray, record.generation);
        await orLater(value, supersede(value));
      }
      if (unanswered) await events({ type: 'renewal_lost', record });
    },
    async retry() {
      for (const [name, value] of unsaved) {
        await supersede(value);
        unsaved.delete(name);
      }
    },
  };
}
