// The only home of @open-policy-agent/opa-wasm, which loads a policy and sets its data. Input and result pass as text:
// the text is written straight into the memory of the module, and whoever has seen a result before need not parse it.
import { createRequire } from 'node:module';

// The ES module build of opa-wasm 1.10.0 exports only `loadPolicy`; the CommonJS build also has `loadPolicySync`.
const { loadPolicySync } = createRequire(import.meta.url)(
  '@open-policy-agent/opa-wasm',
) as typeof import('@open-policy-agent/opa-wasm');

/**
 * Memory of an instance in pages of 64 KiB; the maximum is 16 MiB. Without a maximum, one bad rule could grow
 * memory for minutes and block the event loop.
 */
const MEMORY = { initial: 8, maximum: 256 };
const PAGE = 65_536;
/** Most bytes that a character of a JavaScript string becomes in UTF-8. */
const WIDEST = 3;

/** One instance of a compiled policy. After it has thrown it may be unusable, and must not be asked again. */
export interface WasmPolicy {
  /** Ids of the entrypoints, by name. */
  readonly entrypoints: Readonly<Record<string, number>>;
  /** Evaluates an entrypoint and answers the result set as OPA writes it. Throws whatever the module throws. */
  evaluate(input: string, entrypoint: number): string;
}

/** WebAssembly.Memory, which the types of Node do not have. */
interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** What opa-wasm keeps of a policy; its types name only the methods. */
interface Loaded {
  entrypoints: Record<string, number>;
  mem: Memory;
  wasmInstance: { exports: { opa_eval: OpaEval } };
  minorVersion: number;
  dataAddr: number;
  dataHeapPtr: number;
  setData(data: object): void;
}

/** https://www.openpolicyagent.org/docs/wasm#abi-12: reserved, entrypoint, data, input, its length, heap, format. */
type OpaEval = (...args: [number, number, number, number, number, number, number]) => number;

/** `data`: base data of the policy. Throws for what is no policy, or one of an ABI without `opa_eval`. */
export function instantiate(module: WebAssembly.Module, data: object): WasmPolicy {
  const policy = loadPolicySync(module, { ...MEMORY }) as unknown as Loaded;
  policy.setData(data);
  const { mem, dataAddr, dataHeapPtr: at, entrypoints, minorVersion } = policy;
  const { opa_eval: evaluate } = policy.wasmInstance.exports;
  if (minorVersion < 2 || typeof evaluate !== 'function') throw new Error('the policy has no opa_eval (ABI 1.2)');
  const encoder = new TextEncoder();
  let memory = Buffer.from(mem.buffer);
  return {
    entrypoints,
    evaluate(input, entrypoint) {
      const room = mem.buffer.byteLength - at;
      if (input.length * WIDEST > room) grow(mem, Buffer.byteLength(input) - room);
      // Memory that has grown is another buffer, and the old one has no bytes.
      if (memory.buffer !== mem.buffer) memory = Buffer.from(mem.buffer);
      const { written } = encoder.encodeInto(input, memory.subarray(at));
      // Everything from the heap on belongs to this evaluation alone, and the next one begins there again.
      const address = evaluate(0, entrypoint, dataAddr, at, written, at + written, 0);
      if (memory.buffer !== mem.buffer) memory = Buffer.from(mem.buffer);
      return memory.toString('utf8', address, memory.indexOf(0, address));
    },
  };
}

function grow(memory: Memory, missing: number): void {
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
}
