// One message that is being answered: its notifications, and its end by an answer or because the client gave it up.
import { Cancellation, type CancelSignal } from '../core/cancellation.ts';
import type { JSONRPCMessage } from './message.ts';

/** The way back to whoever sent one message. It is used once and never shared. */
export class Exchange {
  readonly #notify: (message: JSONRPCMessage) => void;
  readonly #cancellation = new Cancellation();
  #giveUp: () => void = () => {};

  constructor(notify: (message: JSONRPCMessage) => void) {
    this.#notify = notify;
  }

  /** Given by `abandon`; stops the tool call. */
  get signal(): CancelSignal {
    return this.#cancellation;
  }

  /** Sends a notification, unless the client has given the request up. */
  notify(message: JSONRPCMessage): void {
    if (this.#cancellation.aborted) return;
    try {
      this.#notify(message);
    } catch {
      // Who cannot be told of progress still gets the answer: a call must not fail because of that.
    }
  }

  /** Gives up the request without an answer, as MCP asks for a cancelled request, and stops its tool call. */
  abandon(): void {
    this.#cancellation.abort();
    this.#giveUp();
  }

  /** Stops the tool call, because the process ends: the request is still answered, by what is known of the call then. */
  cutShort(): void {
    this.#cancellation.abort('stopping');
  }

  /** What the work answers; undefined as soon as the request is given up, although the work goes on to its end. */
  answered<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#giveUp = () => resolve(undefined);
      work.then(resolve, reject);
    });
  }
}
