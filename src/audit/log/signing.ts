// When a log is signed, and with which key.
import type { CheckpointCause } from '../chain/checkpoint.ts';
import type { SigningKey, SigningKeys } from '../chain/keys.ts';
import type { Encoded } from './encode.ts';

export interface SigningOptions {
  keys: Pick<SigningKeys, 'present' | 'of'>;
  /** After so many records, or so many seconds, whichever comes first. */
  every: { records: number; seconds: number };
  /** The key of the last checkpoint of this chain. */
  last: { key: string } | undefined;
  record: (cause: CheckpointCause, key: SigningKey) => string;
}

/** Knows when a checkpoint is due. */
export class Signing {
  readonly #options: SigningOptions;
  #key: SigningKey;
  #asked: CheckpointCause | undefined = 'opened';
  #records = 0;
  #at = performance.now();

  constructor(options: SigningOptions) {
    this.#options = options;
    const { keys, last } = options;
    // What was written before this start belongs to the key of its time.
    this.#key = (last && keys.of(last.key)) ?? keys.present;
  }

  get key(): SigningKey {
    return this.#key;
  }

  /** A checkpoint must not wait for its time. */
  ask(cause: CheckpointCause): void {
    this.#asked ??= cause;
  }

  due(): CheckpointCause | undefined {
    const { keys, every } = this.#options;
    if (keys.present.id !== this.#key.id) return 'key';
    if (this.#asked) return this.#asked;
    if (this.#records >= every.records) return 'records';
    return performance.now() - this.#at >= every.seconds * 1000 ? 'time' : undefined;
  }

  /** The record of a checkpoint, without its place. */
  record(cause: CheckpointCause): string {
    return this.#options.record(cause, this.#key);
  }

  /** So many records are on the disk, and a checkpoint among them, if any. */
  written({ items, checkpoint }: Encoded): void {
    this.#records += items.length;
    if (checkpoint === undefined) return;
    this.#records = 0;
    this.#at = performance.now();
    this.#asked = undefined;
    const { present } = this.#options.keys;
    if (present.id === this.#key.id) return;
    // The key of before has signed its time, and the new one begins with a checkpoint of its own.
    this.#key = present;
    this.#asked = 'key';
  }
}
