// The order in which alerts go out. A flood must not hide the first alert about something else: kinds take turns, and
// within a kind clients do. Every other turn of a kind goes to whoever came last, so that ten thousand of one kind, each about
// somebody else, delay the next one by one turn and not by ten thousand; the others go in the order in which they came.

/** What is waiting: of which kind it is, and whom it is about. */
export interface Waiting {
  readonly kind: string;
  readonly who: string;
}

export interface FairQueue<T extends Waiting> {
  add(item: T): void;
  take(): T | undefined;
  readonly size: number;
  /** The kind with the most that wait, and how many those are. */
  fullest(): { kind: string; size: number } | undefined;
  /** Takes the newest of a kind. */
  dropFrom(kind: string): T | undefined;
}

export function createFairQueue<T extends Waiting>(): FairQueue<T> {
  const kinds = new Map<string, Kind<T>>();
  let size = 0;

  function emptied(kind: string, queue: Kind<T>, item: T | undefined): T | undefined {
    if (item) size -= 1;
    if (queue.size === 0) kinds.delete(kind);
    return item;
  }

  return {
    add(item) {
      let queue = kinds.get(item.kind);
      if (!queue) {
        queue = new Kind();
        kinds.set(item.kind, queue);
      }
      queue.add(item);
      size += 1;
    },
    take() {
      const next = kinds.entries().next().value;
      if (!next) return undefined;
      const [kind, queue] = next;
      // Behind the other kinds.
      kinds.delete(kind);
      kinds.set(kind, queue);
      return emptied(kind, queue, queue.take());
    },
    get size() {
      return size;
    },
    fullest() {
      let best: { kind: string; size: number } | undefined;
      for (const [kind, queue] of kinds) if (queue.size > (best?.size ?? 0)) best = { kind, size: queue.size };
      return best;
    },
    dropFrom(kind) {
      const queue = kinds.get(kind);
      return queue && emptied(kind, queue, queue.dropNewest());
    },
  };
}

/** All of one kind, by whom they are about. */
class Kind<T extends Waiting> {
  /** In the order of their turns. */
  readonly #clients = new Map<string, T[]>();
  /** Those who have had no turn yet, the newest last; some may have had one by now. */
  #newcomers: string[] = [];
  /** Whom each that was added is about, the newest last; some have gone by now. */
  #added: string[] = [];
  #turn = 0;
  size = 0;

  add(item: T): void {
    const waiting = this.#clients.get(item.who);
    if (waiting) waiting.push(item);
    else {
      this.#clients.set(item.who, [item]);
      this.#newcomers.push(item.who);
      if (this.#newcomers.length > 2 * this.#clients.size + 100)
        this.#newcomers = [...new Set(this.#newcomers)].filter((who) => this.#clients.has(who));
    }
    this.#added.push(item.who);
    if (this.#added.length > 2 * this.size + 100) this.#added = this.#added.slice(-this.size);
    this.size += 1;
  }

  take(): T | undefined {
    this.#turn += 1;
    const who = (this.#turn % 2 === 1 ? this.#newcomer() : undefined) ?? this.#clients.keys().next().value;
    return who === undefined ? undefined : this.#from(who, 'first');
  }

  dropNewest(): T | undefined {
    let who = this.#added.pop();
    while (who !== undefined && !this.#clients.has(who)) who = this.#added.pop();
    who ??= this.#clients.keys().next().value;
    return who === undefined ? undefined : this.#from(who, 'last');
  }

  #newcomer(): string | undefined {
    for (let who = this.#newcomers.pop(); who !== undefined; who = this.#newcomers.pop())
      if (this.#clients.has(who)) return who;
    return undefined;
  }

  #from(who: string, which: 'first' | 'last'): T | undefined {
    const waiting = this.#clients.get(who);
    const item = which === 'first' ? waiting?.shift() : waiting?.pop();
    if (!waiting || !item) return undefined;
    this.size -= 1;
    this.#clients.delete(who);
    // Behind the others.
    if (waiting.length > 0) this.#clients.set(who, waiting);
    return item;
  }
}
