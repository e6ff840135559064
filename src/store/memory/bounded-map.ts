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
 * the same however full the map is: entries stand in a list for each second in which they expire, so that nothing is
 * searched.
 */
export class BoundedMap<V extends Entry> extends Map<string, V> {
  readonly #most: number;
  readonly #now: () => number;
  /** Keys by the second of their expiry when they were added, or later. A key that is not there any more may be too. */
  readonly #expiring = new Map<number, string[]>();
  /** No list is older than that of this second. */
  #oldest = Number.POSITIVE_INFINITY;

  constructor(most: number, now: () => number) {
    super();
    this.#most = most;
    this.#now = now;
  }

  override set(key: string, value: V): this {
    const before = super.get(key);
    if (before) {
      // One whose life becomes shorter would else hold its place for the longer one.
      if ((value.expires ?? Infinity) < (before.expires ?? Infinity)) this.#expect(key, value);
      return super.set(key, value);
    }
    this.#dropExpired();
    if (this.size >= this.#most) throw new StoreFullError(`the store holds ${this.#most} live entries`);
    this.#expect(key, value);
    return super.set(key, value);
  }

  #expect(key: string, { expires }: V): void {
    if (typeof expires !== 'number') return;
    const second = Math.ceil(expires / 1000);
    this.#oldest = Math.min(this.#oldest, second);
    const list = this.#expiring.get(second);
    if (list) list.push(key);
    else this.#expiring.set(second, [key]);
  }

  #dropExpired(): void {
    const now = this.#now();
    let left = LOOKED_AT;
    if (this.#expiring.size === 0) this.#oldest = Number.POSITIVE_INFINITY;
    for (; this.#oldest * 1000 <= now && this.#expiring.size > 0; this.#oldest++) {
      const list = this.#expiring.get(this.#oldest) ?? [];
      while (list.length > 0) {
        if (left-- === 0) return;
        const key = list.pop() as string;
        const value = super.get(key);
        if (typeof value?.expires !== 'number') continue;
        if (value.expires <= now) this.delete(key);
        // It was set again since, with a longer life.
        else this.#expect(key, value);
      }
      this.#expiring.delete(this.#oldest);
    }
  }
}
