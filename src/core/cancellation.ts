// Says that somebody no longer waits. It is made for every call, at a fraction of the price of an AbortController.

/** What is asked of a signal. An AbortSignal will do. */
export interface CancelSignal {
  readonly aborted: boolean;
  /** `stopping`: not because nobody waits, but because this process ends. */
  readonly cause?: 'stopping' | undefined;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A signal that is given by `abort`, once. A listener that is added later is not called. */
export class Cancellation implements CancelSignal {
  #aborted = false;
  #cause: 'stopping' | undefined;
  #listeners: readonly (() => void)[] = [];

  get aborted(): boolean {
    return this.#aborted;
  }

  get cause(): 'stopping' | undefined {
    return this.#cause;
  }

  abort(cause?: 'stopping'): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#cause = cause;
    for (const listener of this.#listeners) listener();
    this.#listeners = [];
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners = [...this.#listeners, listener];
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners = this.#listeners.filter((each) => each !== listener);
  }
}
