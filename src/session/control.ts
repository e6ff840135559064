// What all replicas must know at once and what belongs to no single client: which revocations there
// are, and whether the store still has the memory it had.
import type { ClientId } from '../identity/client.ts';
import type { SessionRecord } from './record.ts';

/** Whose sessions are to end. `session` is the fingerprint that logs show. */
export type Selector =
  | { all: true }
  | { backend: string }
  | { client: ClientId }
  | { subject: string }
  | { session: string };

export interface Control {
  /** Changes whenever the store lost, or may have lost, what it knew. */
  readonly epoch: string;
  /** When it began, in milliseconds since 1970. */
  readonly since: number;
  /** Whether there was an epoch before this one: then facts that are missing may be forgotten facts. */
  readonly lost: boolean;
  /** Number of the newest revocation. */
  readonly lastRevocation: number;
  /** The newest revocation by selector, as `selectorText` spells it. */
  readonly revocations: ReadonlyMap<string, number>;
}

export interface ControlPort {
  /** The state, not older than `maxAgeMs`. Rejects when the store does not answer. */
  read(maxAgeMs: number): Promise<Control>;
  /** Records a revocation. Once it has returned, every read that begins later knows of it. */
  revoke(selector: Selector): Promise<void>;
}

/** How old the state may be on the way of a call: well below the second R-28 grants. */
export const CONTROL_AGE_MS = 400;

export function selectorText(selector: Selector): string {
  const [[kind, value]] = Object.entries(selector) as [[string, string | true]];
  return value === true ? kind : `${kind}:${value}`;
}

/** Whether what was opened at `revision` by this client has been revoked since. */
export function revokedSince(
  { revocations }: Control,
  revision: number,
  { client, subject, backend, session }: { client: ClientId; subject: string; backend?: string; session?: string },
): boolean {
  if (revocations.size === 0) return false;
  const after = (text: string) => (revocations.get(text) ?? 0) > revision;
  return (
    after('all') ||
    after(`client:${client}`) ||
    after(`subject:${subject}`) ||
    (backend !== undefined && after(`backend:${backend}`)) ||
    (session !== undefined && after(`session:${session}`))
  );
}

export function isRevoked(
  control: Control,
  { sinceRevocation: revision, bound, backend, fingerprint }: SessionRecord,
): boolean {
  return revokedSince(control, revision, {
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
  return selector satisfies never;
}
