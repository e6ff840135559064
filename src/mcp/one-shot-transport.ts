// An in-process Transport, the extension point of the SDK: carries one message to a fresh server, and its answer
// back. A server or transport shared between clients would give one client the result of another (CVE-2026-25536,
//
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { Exchange } from './exchange.ts';
import type { JSONRPCMessage } from './message.ts';

/** The transport of one message. It is used once and never shared. */
export class OneShotTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport['onmessage']>;
  /** Resolves with the answer. It stays open when there will be none, because the message was not a request. */
  readonly answer: Promise<JSONRPCMessage>;
  readonly #exchange: Exchange;
  #settle!: (message: JSONRPCMessage) => void;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.answer = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage): Promise<void> {
    if ('method' in message) this.#exchange.notify(message);
    else this.#settle(message);
  }

  /** Passes the message to the server. */
  deliver(message: JSONRPCMessage): void {
    this.onmessage?.(message);
  }

  async close(): Promise<void> {
    this.#exchange.abandon();
    this.onclose?.();
  }
}
