// A Map for keyv with a highest number of entries. When it is full of live entries it refuses new ones instead of
// dropping old ones: what was forgotten could be replayed.

interface Entry {
  expires?: number | null | undefined;
}

/** The map is full of entries that have not expired. */
export class StoreFullError extends Error {
  override readonly name = 'StoreFullError';
}

/** Most entries that one `set` looks at for whether they have expired. */
const LOOKED_AT = 256;

/**
 * A Map of at most `most` entries. `set` throws a StoreFullError for a new key when none of them has expired. It costs
 * the same however full the map is: keys stand in a set for the second in which their entry expires, so that nothing is
 * searched.
 */
export class BoundedMap<V extends Entry> extends Map<string, V> {
  readonly #most: number;
  readonly #now: () => number;
  readonly #expiring = new Map<number, Set<string>>();
  /** The second under which a key stands: that of its expiry, or an earlier one when its life has become longer. */
  readonly #seconds = new Map<string, number>();
  /** No set is of an earlier second. */
  #oldest = Number.POSITIVE_INFINITY;

  constructor(most: number, now: () => number) {
    super();
    this.#most = most;
    this.#now = now;
  }

  override set(key: string, value: V): this {
    if (!this.has(key)) {
      this.#dropExpired();
      if (this.size >= this.#most) throw new StoreFullError(`the store holds ${this.#most} live entries`);
    }
    const second = secondOf(value);
    const before = this.#seconds.get(key);
    // A longer life is seen when the shorter one is over: an entry that is set again and again is not moved each time.
    if (before === undefined || second < before) this.#expect(key, second);
    return super.set(key, value);
  }

  override delete(key: string): boolean {
    this.#expect(key, Number.POSITIVE_INFINITY);
    return super.delete(key);
  }

  override clear(): void {
    this.#expiring.clear();
    this.#seconds.clear();
    super.clear();
  }

  /** Moves a key to the set of a second; to none for Infinity. */
  #expect(key: string, second: number): void {
    const before = this.#seconds.get(key);
    if (before !== undefined) {
      const keys = this.#expiring.get(before);
      keys?.delete(key);
      if (keys?.size === 0) this.#expiring.delete(before);
      this.#seconds.delete(key);
    }
    if (second === Number.POSITIVE_INFINITY) return;
    this.#oldest = Math.min(this.#oldest, second);
    this.#seconds.set(key, second);
    const keys = this.#expiring.get(second);
    if (keys) keys.add(key);
    else this.#expiring.set(second, new Set([key]));
  }

  #dropExpired(): void {
    const now = this.#now();
    let left = LOOKED_AT;
    if (this.#expiring.size === 0) this.#oldest = Number.POSITIVE_INFINITY;
    for (; this.#oldest * 1000 <= now && this.#expiring.size > 0; this.#oldest++) {
      for (const key of this.#expiring.get(this.#oldest) ?? []) {
        if (left-- === 0) return;
        const second = secondOf(super.get(key));
        if (second * 1000 <= now) this.delete(key);
        else this.#expect(key, second);
      }
    }
  }
}

/** The second in which an entry has expired for certain; Infinity when it never does. */
const secondOf = (value: Entry | undefined): number =>
  typeof value?.expires === 'number' ? Math.ceil(value.expires / 1000) : Number.POSITIVE_INFINITY;
