// What was opened and must be closed again. Also when a start fails half-way: then what had been opened by then.

export interface Closing {
  /** Keeps a part to be closed and answers it, so that opening and keeping stand in one line. */
  add<T extends { close(): void | Promise<void> }>(part: T): T;
  /** Closes everything, the newest first, because later parts use earlier ones. One that fails spares no other. */
  close(): Promise<void>;
}

export function createClosing(): Closing {
  const parts: { close(): void | Promise<void> }[] = [];
  return {
    add(part) {
      parts.push(part);
      return part;
    },
    async close() {
      for (const part of parts.splice(0).reverse()) {
        try {
          await part.close();
        } catch {
          // The others must still be closed.
        }
      }
    },
  };
}
