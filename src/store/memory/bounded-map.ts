// A Map for keyv with a highest number of entries. When it is full of live entries it refuses new ones instead of
// dropping old ones: what was forgotten could be replayed.

interface Entry {
  expires?: number | null | undefined;
}

/** The map is full of entries that have not expired. */
export class StoreFullError extends Error {
  override readonly name = 'StoreFullError';
}

/** A Map of at most `most` entries. `set` throws a StoreFullError for a new key when none of them has expired. */
export class BoundedMap<V extends Entry> extends Map<string, V> {
  readonly #most: number;
  readonly #now: () => number;

  constructor(most: number, now: () => number) {
    super();
    this.#most = most;
    this.#now = now;
  }

  override set(key: string, value: V): this {
    if (this.size >= this.#most && !this.has(key)) this.#dropExpired();
    if (this.size >= this.#most && !this.has(key))
      throw new StoreFullError(`the store holds ${this.#most} live entries`);
    return super.set(key, value);
  }

  #dropExpired(): void {
    const now = this.#now();
    for (const [key, { expires }] of this) if (typeof expires === 'number' && expires <= now) this.delete(key);
  }
}
