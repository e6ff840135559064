// What the thread that watches this process sees of it: whether a policy is being asked, which one, and about which tool. It
// is written before and after each evaluation without a limit of time, and costs three writes to memory.

/** [0]: an odd number while a policy is asked, another one each time; [1]: the tool, counted from 0; [2]: the policy. */
export type Beat = Int32Array<SharedArrayBuffer>;

export interface Pulse {
  enter(tool: string): void;
  leave(): void;
}

export const createBeat = (): Beat => new Int32Array(new SharedArrayBuffer(12));

/** `tools`: their names, by which the other side counts as well; -1 is none of them. `policy`: its number there. */
export function createPulse(shared: Beat, tools: readonly string[], policy: number): Pulse {
  const numbers = new Map(tools.map((name, i) => [name, i]));
  return {
    enter(tool) {
      shared[1] = numbers.get(tool) ?? -1;
      shared[2] = policy;
      shared[0] = ((shared[0] as number) + 1) | 1;
    },
    leave() {
      shared[0] = ((shared[0] as number) + 1) & ~1;
    },
  };
}
