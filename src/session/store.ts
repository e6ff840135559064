// The port behind which session records are kept.
import type { SessionRecord } from './record.ts';

/** Names one state of one session. Generations begin again with each session, so the id belongs to it. */
export type SessionVersion = Pick<SessionRecord, 'id' | 'generation'>;

export interface SessionStore {
  get(key: string): Promise<SessionRecord | undefined>;
  /**
   * Stores the record if what is stored is exactly `expected` (null: nothing). Answers whether it
   * did. Atomic: a writer that was paused cannot overwrite a newer record, nor one that came
   * after a revocation.
   */
  compareAndSet(key: string, expected: SessionVersion | null, record: SessionRecord): Promise<boolean>;
  /** Removes and returns the record, whatever its generation. */
  remove(key: string): Promise<SessionRecord | undefined>;
  /** Records that end with this process, to be logged out at shutdown. Empty for a shared store. */
  volatileRecords(): Promise<SessionRecord[]>;
}

export function sameVersion(a: SessionVersion | null | undefined, b: SessionVersion | null | undefined): boolean {
  return a?.id === b?.id && a?.generation === b?.generation;
}
