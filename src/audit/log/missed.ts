// What became of the records that a write has failed for. A call that waited for one was refused, so its record is not written
// later, but named; what tells of something that has happened is written as soon as that is possible again.
import type { Item } from './encode.ts';

/** Of the decisions that are named: the ids of so many. */
const MOST_NAMED = 500;
/** Text of records that wait for a disk to come back, at most (as string length). Beyond it they are counted. */
const MOST_KEPT = 16 * 1024 * 1024;

/** Collects it until a write succeeds. */
export interface Missed {
  /** Adds what one failed write was to bring. `onDisk`: so many of the items stand there all the same. */
  add(items: readonly Item[], onDisk: number): void;
  /** Counts one that nobody could keep. */
  drop(): void;
  /** For the record of the gap. */
  readonly fields: Record<string, number | readonly string[]>;
  /** What is written with the next success. */
  readonly kept: readonly string[];
  /** What is only named. */
  readonly named: { refused: readonly string[]; present: readonly string[]; records: number; dropped: number };
}

/** `before`: what was missed before and is not on record yet; what it keeps is added again. */
export function createMissed(before?: Missed): Missed {
  const refused: string[] = [...(before?.named.refused ?? [])];
  const present: string[] = [...(before?.named.present ?? [])];
  const kept: string[] = [];
  let [refusedCount, dropped, size] = [before?.named.records ?? 0, before?.named.dropped ?? 0, 0];

  function one(text: string, stands: boolean): void {
    const type = typeOf(text);
    if (type === 'decision' || type === 'alert') {
      refusedCount += 1;
      const id = /"decision_id":"([^"]+)"/.exec(text)?.[1];
      if (id === undefined) return void keep(text, stands);
      if (!refused.includes(id) && refused.length < MOST_NAMED) refused.push(id);
      if (stands && !present.includes(id) && present.length < MOST_NAMED) present.push(id);
      return;
    }
    keep(text, stands);
  }

  function keep(text: string, stands: boolean): void {
    // A probe says that writes succeed again, which this one did not.
    if (stands || text.includes('"event":"log_restored"')) return;
    if (size + text.length > MOST_KEPT) {
      dropped += 1;
      return;
    }
    size += text.length;
    kept.push(text);
  }

  return {
    add: (items, onDisk) =>
      items.forEach((item, i) => {
        if (typeof item === 'string') one(item, i < onDisk);
      }),
    drop() {
      dropped += 1;
    },
    get fields() {
      return {
        refused,
        ...(refusedCount > refused.length && { refused_records: refusedCount }),
        ...(present.length > 0 && { on_disk: present }),
        ...(dropped > 0 && { dropped }),
      };
    },
    get kept() {
      return kept;
    },
    get named() {
      return { refused, present, records: refusedCount, dropped };
    },
  };
}

/** The type of a record stands at a fixed place in its text. */
const typeOf = (text: string): string => /^\{"level":"[a-z]+","message":"([a-z]+)"/.exec(text)?.[1] ?? '';
