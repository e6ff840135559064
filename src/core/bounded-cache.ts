/**
 * A Map with at most `most` entries. An entry that is set becomes the newest; when there is no room the
 * oldest one is dropped. For things that can be found out again or may be forgotten, so that memory does
 * not grow with what strangers send. What must not be forgotten is kept in a store that refuses instead.
 */
export class BoundedCache<K, V> extends Map<K, V> {
  readonly #most: number;

  constructor(most: number) {
    super();
    this.#most = most;
  }

  override set(key: K, value: V): this {
    this.delete(key);
    if (this.size >= this.#most) this.delete(this.keys().next().value as K);
    return super.set(key, value);
  }
}
