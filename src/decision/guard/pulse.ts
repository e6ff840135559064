// What the thread that watches this process sees of it: whether the policy is being asked, and about which tool. It is
// written before and after each evaluation without a limit of time, and costs two writes to memory.

export interface Pulse {
  /** [0]: an odd number while the policy is asked, another one each time; [1]: the tool, counted from 0; -1: none of them. */
  readonly shared: Int32Array<SharedArrayBuffer>;
  enter(tool: string): void;
  leave(): void;
}

/** `tools`: their names, by which the other side counts as well. */
export function createPulse(tools: Iterable<string>): Pulse {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const numbers = new Map([...tools].map((name, i) => [name, i]));
  return {
    shared,
    enter(tool) {
      shared[1] = numbers.get(tool) ?? -1;
      shared[0] = ((shared[0] as number) + 1) | 1;
    },
    leave() {
      shared[0] = ((shared[0] as number) + 1) & ~1;
    },
  };
}
