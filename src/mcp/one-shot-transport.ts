// An in-process Transport, the extension point of the SDK: carries one message to a fresh server, and its answer
// back. A server or transport shared between clients would give one client the result of another (CVE-2026-25536,
//
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';

/** The transport of one message. It is used once and never shared. */
export class OneShotTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport['onmessage']>;
  /**
   * Resolves with the answer, or with undefined when there will be none: the request was cancelled, or the
   * message was not a request.
   */
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

  /** Passes the message to the server. */
  deliver(message: JSONRPCMessage): void {
    this.onmessage?.(message);
  }

  /**
   * Aborted by `abandon`; stops the tool call. The signal of the SDK is not used, because it misses the
   * cancellation of a request with id 0.
   */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Gives up the request without an answer, as MCP asks for a cancelled request, and stops its tool call. */
  abandon(): void {
    this.#controller.abort();
    this.#settle(undefined);
  }

  async close(): Promise<void> {
    this.abandon();
    this.onclose?.();
  }
}
