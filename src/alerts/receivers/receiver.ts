// Whoever takes alerts: the port.
import type { Message } from '../alert.ts';

export interface Receiver {
  /** How many may be under way to it at the same time. */
  readonly concurrency: number;
  /**
   * Resolves when the receiver has taken the message, which may have come before: then it has its id. Rejects with a
   * DeliveryError otherwise. What it says may stand in logs, so it holds no address and nothing that the receiver answered.
   */
  send(message: Message, signal: AbortSignal): Promise<void>;
  /** Lets what is under way end, for a moment. */
  close(): Promise<void>;
}

/** `refused`: this message was not taken, and others may be. `retryAfterMs`: how long the receiver wants to be left alone. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
  readonly refused: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(problem: string, { refused = false, retryAfterMs }: { refused?: boolean; retryAfterMs?: number } = {}) {
    super(problem);
    this.refused = refused;
    this.retryAfterMs = retryAfterMs;
  }
}
