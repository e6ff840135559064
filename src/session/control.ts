// The state that all replicas must share at once and that belongs to no single client: which revocations there were,
// and whether the store may have lost what it knew.
import type { ClientId } from '../identity/client.ts';
import type { SessionRecord } from './record.ts';

/** Whose sessions are to end. `session` is the session's fingerprint, as the logs show it. */
export type Selector =
  | { all: true }
  | { backend: string }
  | { client: ClientId }
  | { subject: string }
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
   * Number of the newest revocation. They are numbered from 1 over all replicas and selectors; 0 means there was
   * none.
   */
  readonly lastRevocation: number;
  /** The number of the newest revocation of each selector, by the text that `selectorText` gives. */
  readonly revocations: ReadonlyMap<string, number>;
}

/** Reads the shared state and records revocations. Both methods reject when the store does not answer. */
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
}

/**
 * How old the state may be when a call relies on it. It is well below the second within which every replica must know
 * of a revocation.
 */
export const CONTROL_AGE_MS = 400;

/**
 * Spells a selector as one text, such as `client:agent-7` or `all`. The newest revocation is kept under this text.
 */
export function selectorText(selector: Selector): string {
  const [[kind, value]] = Object.entries(selector) as [[string, string | true]];
  return value === true ? kind : `${kind}:${value}`;
}

/**
 * Whether something that this client opened has been revoked since. The number given is that of the newest revocation
 * when it was opened. A handle has no backend and no session fingerprint, so a revocation of one of these does not
 * mean it.
 */
export function revokedSince(
  { revocations }: Control,
  since: number,
  { client, subject, backend, session }: { client: ClientId; subject: string; backend?: string; session?: string },
): boolean {
  if (revocations.size === 0) return false;
  const after = (text: string) => (revocations.get(text) ?? 0) > since;
  return (
    after('all') ||
    after(`client:${client}`) ||
    after(`subject:${subject}`) ||
    (backend !== undefined && after(`backend:${backend}`)) ||
    (session !== undefined && after(`session:${session}`))
  );
}

/** Whether a revocation that came after the session was opened means this session. */
export function isRevoked(
  control: Control,
  { sinceRevocation: since, bound, backend, fingerprint }: SessionRecord,
): boolean {
  return revokedSince(control, since, {
    client: bound.client_id,
    subject: bound.subject,
    backend,
    session: fingerprint,
  });
}

/** Whether a selector means this session. */
export function selects(selector: Selector, { bound, backend, fingerprint }: SessionRecord): boolean {
  if ('all' in selector) return true;
  if ('backend' in selector) return selector.backend === backend;
  if ('client' in selector) return selector.client === bound.client_id;
  if ('subject' in selector) return selector.subject === bound.subject;
  if ('session' in selector) return selector.session === fingerprint;
  selector satisfies never;
  return false;
}
