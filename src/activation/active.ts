// The policy that decides at present. Another one is taken into use between two calls: each call takes the present one at
// its beginning and is decided by it to its end, so that no decision is made of parts of two.
import type { Evaluator } from '../decision/evaluator.ts';
import type { Policy } from '../decision/open.ts';

export interface ActivePolicy {
  readonly present: Policy;
  /** Takes another policy into use, for every call that begins from now on. */
  swap(policy: Policy): void;
  /** Has the listener called after each swap. */
  onSwap(listener: (policy: Policy) => void): void;
  /** Asks whichever policy is in use: for what is one question, and not a call. */
  readonly evaluator: Evaluator;
}

export function createActivePolicy(first: Policy): ActivePolicy {
  const listeners: ((policy: Policy) => void)[] = [];
  let present = first;
  return {
    get present() {
      return present;
    },
    swap(policy) {
      present = policy;
      for (const listener of listeners) listener(policy);
    },
    onSwap: (listener) => void listeners.push(listener),
    evaluator: {
      evaluate: (...args) => present.evaluator.evaluate(...args),
      visible: (input) => present.evaluator.visible(input),
    },
  };
}
