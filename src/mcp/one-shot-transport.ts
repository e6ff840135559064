// An in-process Transport (the SDK's own extension point): carries one message to a fresh server and
// its answer back. A server or transport shared between clients would cross results (CVE-2026-25536).
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';

export class OneShotTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport['onmessage']>;
  /** The answer, or undefined when the message has none (cancelled, or no request). */
  readonly answer: Promise<JSONRPCMessage | undefined>;
  readonly #notify: (message: JSONRPCMessage) => void;
  readonly #controller = new AbortController();
  #settle!: (message: JSONRPCMessage | undefined) => void;

  constructor(notify: (message: JSONRPCMessage) => void) {
    this.#notify = notify;
    this.answer = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage): Promise<void> {
    if ('method' in message) {
      if (!this.signal.aborted) this.#notify(message);
    } else this.#settle(message);
  }

  /** Hands a message to the server. */
  deliver(message: JSONRPCMessage): void {
    this.onmessage?.(message);
  }

  /** Aborted by `abandon`. Ours, because the SDK overlooks a cancellation of request 0. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the exchange without an answer, as MCP asks for a cancelled request, and stops the call. */
  abandon(): void {
    this.#controller.abort();
    this.#settle(undefined);
  }

  async close(): Promise<void> {
    this.abandon();
    this.onclose?.();
  }
}
