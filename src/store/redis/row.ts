// A session as Redis has it, in the form keyv stores. Whoever can write there can write anything.
import { readRecord, type SessionRecord } from '../../session/record.ts';

/** The record, or undefined when the text is none. */
export function parseRecord(stored: string): SessionRecord | undefined {
  try {
    return readRecord((JSON.parse(stored) as { value?: unknown }).value);
  } catch {
    return undefined;
  }
}
