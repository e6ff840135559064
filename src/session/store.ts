// The port behind which session records are kept.
import type { SessionRecord } from './record.ts';

export interface SessionStore {
  get(key: string): Promise<SessionRecord | undefined>;
  /**
   * Stores the record if the stored generation is `expected` (null: if there is none). Answers
   * whether it did. Atomic: a writer that was paused cannot overwrite a newer record.
   */
  compareAndSet(key: string, expected: number | null, record: SessionRecord): Promise<boolean>;
  /** Removes and returns the record, whatever its generation. */
  remove(key: string): Promise<SessionRecord | undefined>;
  /** Records that end with this process, to be logged out at shutdown. Empty for a shared store. */
  volatileRecords(): Promise<SessionRecord[]>;
}
