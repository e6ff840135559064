// Commands are loaded when they are given.

/** Runs a command that is loaded when it is given: what one command needs takes no memory from the others. */
export const later =
  <M extends Record<N, (...args: never[]) => unknown>, N extends string>(load: () => Promise<M>, name: N) =>
  async (...args: unknown[]): Promise<void> =>
    void (await (await load())[name](...(args as never[])));
