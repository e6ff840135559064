// The integers that were used in a handle, packed: twelve bytes each, and room only for as many as there are.

/** When an id was used, in milliseconds since 1970, and from which network. */
export interface Use {
  at: number;
  network: string;
}

/** One place holds the low half of the id, its high bits beside the number of the network, and the time. */
const WORDS = 3;
const HALF = 2 ** 32;
/** A safe integer has 53 bits: above these of the high word there is room for the number of the network. */
const HIGH_BITS = 21;
const MOST_NETWORKS = 2 ** (32 - HIGH_BITS);
/** Places to begin with: up to here V8 keeps them inside the object. */
const FIRST = 4;
const GROWTH = 4;

/**
 * A table with a place for each remainder, in which the newest integer stands. It begins small, and grows whenever two
 * different integers would want one place, until it has `most` places.
 */
export class UsedIntegers {
  readonly #most: number;
  #words = new Uint32Array(FIRST * WORDS);
  /** When the first id was used: times are counted from then, plus one, because 0 marks a free place. */
  #began = 0;
  #networks: string[] = [];

  /** `most`: a power of two. */
  constructor(most: number) {
    this.#most = most;
  }

  /** The use of exactly this integer, as long as it stands in its place. */
  get(id: number): Use | undefined {
    const at = this.#placeOf(id);
    if (this.#words[at + 2] === 0 || this.#idAt(at) !== id) return undefined;
    const network = this.#networks[(this.#words[at + 1] as number) >>> HIGH_BITS] as string;
    return { at: this.#began + (this.#words[at + 2] as number) - 1, network };
  }

  set(id: number, { at: time, network }: Use): void {
    if (this.#networks.length === 0) this.#began = time;
    let at = this.#placeOf(id);
    while (this.#words[at + 2] !== 0 && this.#idAt(at) !== id && this.#words.length < this.#most * WORDS) {
      this.#grow();
      at = this.#placeOf(id);
    }
    const high = Math.floor(id / HALF);
    this.#words[at] = id % HALF;
    this.#words[at + 1] = (this.#numberOf(network) * 2 ** HIGH_BITS + high) % HALF;
    // After seven weeks the time stands still; no handle lives so long.
    this.#words[at + 2] = Math.min(Math.max(time - this.#began, 0) + 1, HALF - 1);
  }

  #placeOf(id: number): number {
    return (id % (this.#words.length / WORDS)) * WORDS;
  }

  #idAt(at: number): number {
    return ((this.#words[at + 1] as number) & (2 ** HIGH_BITS - 1)) * HALF + (this.#words[at] as number);
  }

  #grow(): void {
    const before = this.#words;
    this.#words = new Uint32Array(Math.min((before.length / WORDS) * GROWTH, this.#most) * WORDS);
    for (let from = 0; from < before.length; from += WORDS) {
      if (before[from + 2] === 0) continue;
      const id = ((before[from + 1] as number) & (2 ** HIGH_BITS - 1)) * HALF + (before[from] as number);
      this.#words.set(before.subarray(from, from + WORDS), this.#placeOf(id));
    }
  }

  #numberOf(network: string): number {
    const known = this.#networks.indexOf(network);
    if (known >= 0) return known;
    if (this.#networks.length === MOST_NETWORKS) this.#forgetUnused();
    this.#networks = this.#networks.concat(network);
    return this.#networks.length - 1;
  }

  /** Of so many networks most are those of ids that have lost their places. */
  #forgetUnused(): void {
    const numbers = new Map<number, number>();
    for (let at = 0; at < this.#words.length; at += WORDS) {
      const word = this.#words[at + 1] as number;
      const number = word >>> HIGH_BITS;
      if (this.#words[at + 2] === 0) continue;
      if (!numbers.has(number)) numbers.set(number, numbers.size);
      this.#words[at + 1] = (numbers.get(number) as number) * 2 ** HIGH_BITS + (word & (2 ** HIGH_BITS - 1));
    }
    this.#networks = [...numbers.keys()].map((number) => this.#networks[number] as string);
  }
}
