// The state that all replicas must share at once and that belongs to no single client: which revocations there were,
// whether the store may have lost what it knew, the store's clock, and which replicas live.
import { createHash } from 'node:crypto';
import type { FreezeRow, Freezes } from '../freeze/freeze.ts';
import type { ClientId } from '../identity/client.ts';
import type { SessionRecord } from './record.ts';

/**
 * Whose sessions are to end. `session` is the session's fingerprint, as the logs show it. Two issuers may give
 * the same client id or subject to two clients: with `issuer` only that of this issuer is meant, without it each.
 */
export type Selector =
  | { all: true }
  | { backend: string }
  | { client: ClientId; issuer?: string | undefined }
  | { subject: string; issuer?: string | undefined }
  | { session: string };

/** One reading of the shared state: the store's epoch, and the revocations with their numbers. */
export interface Control {
  /** Names the store's epoch. It changes whenever the store has lost, or may have lost, what it knew. */
  readonly epoch: string;
  /** When this epoch began, in milliseconds since 1970. */
  readonly since: number;
  /**
   * Whether another epoch came before this one. If so, facts that are missing may be facts that were forgotten
   * (R-29).
   */
  readonly lost: boolean;
  /**
   * Number of the newest revocation. It grows over all replicas and selectors, and is never below the time at which
   * the revocation was made, in milliseconds since 1970; 0 means there was none.
   */
  readonly lastRevocation: number;
  /** The number of the newest revocation of each selector, by the text that `selectorText` gives. */
  readonly revocations: ReadonlyMap<string, number>;
  /** What is frozen, and what was thawed. */
  readonly freezes: Freezes;
  /** The store's clock when it was read, in milliseconds since 1970. */
  readonly now: number;
  /** How far the store's clock was ahead of the clock of this process, in milliseconds. */
  readonly skewMs: number;
  /** The replicas that hold a lease; empty when the store has only this process. */
  readonly replicas: readonly string[];
}

/** Reads the shared state and records revocations. All methods reject when the store does not answer. */
export interface ControlPort {
  /**
   * Answers the state from a reading that is at most `maxAgeMs` old or still under way. With 0 the store is asked
   * anew.
   */
  read(maxAgeMs: number): Promise<Control>;
  /**
   * Records a revocation. A read with `maxAgeMs` 0 that begins after this has returned knows of it; other reads know
   * of it when their last reading has become too old.
   */
  revoke(selector: Selector): Promise<void>;
  /** Records revocations that the store does not know any more, by selector; of two numbers the higher one holds. */
  restore(revocations: ReadonlyMap<string, number>): Promise<void>;
  /** Records a freeze or a thaw; the store gives it its number. Rejects when there are too many already. */
  freeze(row: Omit<FreezeRow, 'number'>): Promise<void>;
  /** Records freezes and thaws that the store does not know any more; of two numbers the higher one holds. */
  restoreFreezes(rows: Freezes): Promise<void>;
  /** Begins a new epoch in place of this one, because the store has forgotten something although it says nothing. */
  loseHistory(epoch: string): Promise<void>;
}

/**
 * How old the state may be when a call relies on it. It is well below the second within which every replica must know
 * of a revocation.
 */
export const CONTROL_AGE_MS = 400;

/**
 * How long a revocation is kept: longer than anything that it could end. A session that nobody uses is kept for seven
 * days, and handles live no longer than that.
 */
export const REVOCATION_LIFE_MS = 8 * 24 * 3_600_000;

/**
 * Most revocations that are kept. Beyond that, one revocation of all takes the place of each: it ends more than was
 * meant, but never less. An alert comes long before.
 */
export const MOST_REVOCATIONS = 10_000;

/** A short name of an epoch, for what is sealed. It is asked for with every call, and there is one epoch at a time. */
export function epochMark(epoch: string): string {
  if (last.epoch !== epoch) last = { epoch, mark: createHash('sha256').update(epoch).digest('hex').slice(0, 16) };
  return last.mark;
}

let last = { epoch: '', mark: '' };

/**
 * Spells a selector as one text, such as `client:agent-7` or `all`. The newest revocation is kept under this text.
 */
export function selectorText(selector: Selector): string {
  if ('all' in selector) return 'all';
  if ('client' in selector) return of('client', selector.client, selector.issuer);
  if ('subject' in selector) return of('subject', selector.subject, selector.issuer);
  if ('backend' in selector) return `backend:${selector.backend}`;
  if ('session' in selector) return `session:${selector.session}`;
  selector satisfies never;
  throw new Error('no such selector');
}

const of = (kind: string, name: string, issuer: string | undefined): string =>
  issuer === undefined ? `${kind}:${name}` : `${kind}-of:${JSON.stringify([issuer, name])}`;

/** Whom a revocation may mean. A handle has no backend and no session fingerprint. */
interface Whom {
  client: ClientId;
  subject: string;
  issuer: string;
  backend?: string;
  session?: string;
}

/**
 * Whether something that this client opened has been revoked since. The number given is that of the newest revocation
 * when it was opened. A revocation of a backend or of one session does not mean a handle.
 */
export function revokedSince(
  { revocations }: Control,
  since: number,
  { client, subject, issuer, backend, session }: Whom,
): boolean {
  if (revocations.size === 0) return false;
  const after = (text: string) => (revocations.get(text) ?? 0) > since;
  return (
    after('all') ||
    after(of('client', client, undefined)) ||
    after(of('client', client, issuer)) ||
    after(of('subject', subject, undefined)) ||
    after(of('subject', subject, issuer)) ||
    (backend !== undefined && after(`backend:${backend}`)) ||
    (session !== undefined && after(`session:${session}`))
  );
}

/** Whether a revocation that came after the session was opened means this session. */
export function isRevoked(
  control: Control,
  { sinceRevocation: since, bound, issuer, backend, fingerprint }: SessionRecord,
): boolean {
  const { client_id: client, subject } = bound;
  return revokedSince(control, since, { client, subject, issuer, backend, session: fingerprint });
}

/** Whether a selector means this session. */
export function selects(selector: Selector, { bound, issuer, backend, fingerprint }: SessionRecord): boolean {
  if ('all' in selector) return true;
  if ('backend' in selector) return selector.backend === backend;
  if ('session' in selector) return selector.session === fingerprint;
  if (selector.issuer !== undefined && selector.issuer !== issuer) return false;
  if ('client' in selector) return selector.client === bound.client_id;
  if ('subject' in selector) return selector.subject === bound.subject;
  selector satisfies never;
  return false;
}
