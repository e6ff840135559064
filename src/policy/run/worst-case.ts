// How long the policy takes for the worst input that can be thought of: arguments that grow to what the schemas of the tools
// allow. What takes too long at a size that every call may have must not decide; what takes too long only for a
// large input is told, since the guard will refuse such calls. It cannot see everything: the guard stays necessary.
import { createEvaluator } from '../../decision/evaluator.ts';
import { LARGE_BYTES } from '../../decision/guard/care.ts';
import type { DecisionInput } from '../../decision/schema.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import type { JsonObject } from '../../formats/json.ts';
import { type Growing, growing, plainArguments } from './growing.ts';

export interface TriedTool {
  name: string;
  backend: string;
  effect: 'read' | 'write' | 'destructive';
  /** JSON Schema of the arguments. */
  arguments: JsonObject;
}

export interface WorstCaseOptions {
  module: WebAssembly.Module;
  settings: LoadedSettings;
  tools: readonly TriedTool[];
  /** Texts that rules compare with. */
  literals: readonly string[];
  /** The limit of the guard, in milliseconds. */
  guardMs: number;
  /** Largest arguments that a request can carry, in bytes. */
  largestBytes: number;
  /** How long it may take, in milliseconds. */
  longestMs: number;
}

export interface WorstCase {
  /** Inputs of an ordinary size that take too long, a line for each tool. */
  slow: string[];
  /** Large inputs that take too long, and what was not tried. */
  warnings: string[];
}

/** Sizes of arguments that are tried, in bytes. The first is one with which the whole input is not large. */
const ORDINARY = LARGE_BYTES - 1536;
const LARGE = 16_384;

/** Tools that are named; each slow one takes time. */
const MOST_NAMED = 5;

/** Tries the tools in turn, each with what is worst for it, until all is tried or the time is up. */
export function worstCase(options: WorstCaseOptions): WorstCase {
  const { module, settings, tools, literals, guardMs, largestBytes, longestMs } = options;
  const end = performance.now() + longestMs;
  const evaluator = createEvaluator({
    module,
    data: { settings },
    budgetMs: guardMs,
    guard: { ms: guardMs, always: () => true },
  });
  /** In milliseconds; one that runs out of memory takes forever. */
  const took = (tool: TriedTool, args: JsonObject): number => {
    const evaluation = evaluator.evaluate(inputOf(tool, args, settings));
    const spent = !evaluation.ok && evaluation.detail.startsWith('opa_malloc');
    return spent ? Number.POSITIVE_INFINITY : evaluation.nanoseconds / 1e6;
  };
  /** On a busy machine the thread may have been put aside. */
  const isSlow = (tool: TriedTool, args: JsonObject) => took(tool, args) >= guardMs && took(tool, args) >= guardMs;
  const result: WorstCase = { slow: [], warnings: [] };
  const left = new Map(tools.map((tool) => [tool, growing(tool.arguments, literals)]));
  const refuse = (tool: TriedTool, what: string) => {
    result.slow.push(`${tool.name} ${what} takes ${tooMuch(guardMs)}`);
    left.delete(tool);
  };
  // Each tool with what every call of it may have; this is not much, and is tried in any case.
  for (const tool of tools)
    if (result.slow.length < MOST_NAMED && isSlow(tool, plainArguments(tool.arguments)))
      refuse(tool, 'with small arguments');
  if (result.slow.length > 0) return result;
  const missed = new Set<string>();
  for (const pass of ['ordinary', 'large'] as const)
    [...left].forEach(([tool, ways], i, all) => {
      // No tool takes the time of those that come after it.
      const until = performance.now() + Math.max(0, end - performance.now()) / (all.length - i);
      const trying = { took, isSlow, isOver: () => performance.now() > until };
      const sizes = pass === 'ordinary' ? [ORDINARY] : [LARGE, largestBytes].filter((size) => size <= largestBytes);
      const found = (pass === 'ordinary' ? firstOf : firstSlow)(tool, ways, sizes, trying);
      if (trying.isOver()) missed.add(tool.name);
      if (!found) return;
      const what = `with ${(found.size / 1024).toFixed(1)} KB in "${found.way.name}"`;
      if (pass === 'ordinary') refuse(tool, what);
      else result.warnings.push(`${tool.name} ${what} takes ${tooMuch(guardMs)}: such calls will be refused`);
    });
  if (missed.size > 0)
    result.warnings.push(
      `not all growing arguments of ${missed.size} of ${tools.length} tools were tried within ${longestMs / 1000} s`,
    );
  return result;
}

const tooMuch = (guardMs: number) => `more than ${guardMs} ms (policy.guard_ms), or more memory than there is`;

interface Trying {
  took(tool: TriedTool, args: JsonObject): number;
  isSlow(tool: TriedTool, args: JsonObject): boolean;
  isOver(): boolean;
}

/** The first way in which it is slow at the one size. */
function firstOf(tool: TriedTool, ways: readonly Growing[], [size = 0]: readonly number[], { isSlow, isOver }: Trying) {
  const way = ways.find((each) => !isOver() && isSlow(tool, each.of(size)));
  return way && { way, size };
}

/** The first size is tried in every way, each further one in that which took longest. */
function firstSlow(
  tool: TriedTool,
  ways: readonly Growing[],
  [first, ...further]: readonly number[],
  { took, isSlow, isOver }: Trying,
): { way: Growing; size: number } | undefined {
  let [worst, most] = [ways[0], -1];
  if (first === undefined) return undefined;
  for (const way of ways) {
    if (isOver()) return undefined;
    const ms = took(tool, way.of(first));
    if (ms > most) [worst, most] = [way, ms];
  }
  if (!worst) return undefined;
  const way = worst;
  const size = [first, ...further].find((each) => !isOver() && isSlow(tool, way.of(each)));
  return size === undefined ? undefined : { way, size };
}

/** A call of an ordinary client that may do all that a role may do. */
function inputOf(tool: TriedTool, args: JsonObject, settings: LoadedSettings): DecisionInput {
  const place = { ip: '192.0.2.10', network: '192.0.2.0/24' };
  const { name, backend, effect } = tool;
  return {
    version: 1,
    time: { rfc3339: '2026-01-05T09:00:00.000Z', unix_ms: 1_767_603_600_000, weekday: 'monday', hour: 9 },
    client: {
      ...{ id: 'worst-case', subject: 'worst-case', issuer: 'https://idp.example' },
      ...{ roles: Object.keys(settings.access.roles), scopes: Object.values(settings.access.scopes).flat() },
      ...{ ...place, user_agent: 'worst-case' },
      auth: { method: 'jwt', age_seconds: 10, expires_in_seconds: 600, key: null },
    },
    tool: { name, backend, effect, arguments: args },
    session: {
      ...{ id: '5f0c6e3b9a7d4c21', generation: 1, token_age_seconds: 10, age_seconds: 10, idle_seconds: 1 },
      token_uses: 3,
      bound: { client_id: 'worst-case' as never, subject: 'worst-case', key: null, ipv4: place, ipv6: null },
    },
    usage: {
      ...{ calls_1m: 1, calls_1h: 1, denials_1h: 0, in_flight: 1, seconds_since_last_call: 1 },
      networks: [{ network: place.network, calls: 1, last_seen_seconds: 1 }],
      forgotten: false,
    },
    replay: { source: 'rpc_id', seen: false, first_seen_seconds: null, same_network: null },
  };
}
