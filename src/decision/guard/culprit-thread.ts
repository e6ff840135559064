// The thread in which an evaluation that was cut runs once more. It answers the path of a rule, or nothing, and ends.
import { Session } from 'node:inspector/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { ENTRYPOINT } from '../manifest.ts';
import { instantiate } from '../wasm.ts';
import type { Suspect } from './culprit.ts';
import { within } from './cut.ts';

/** How long it is watched: a slow machine takes its samples late. */
const WATCHED_MS = 200;
const SAMPLE_US = 500;
/** What OPA calls the function of a rule: the number of its arguments, and its path. */
const OF_RULE = /^g\d+\.(data\.[\w.]+)$/;
/** The rules that ask all others are in every evaluation. */
const NEVER = /^data\.sallyport\.(decision|visible|findings|hook\..*)$/;

const { wasm, settings, input } = workerData as Suspect;
const policy = instantiate(new WebAssembly.Module(wasm), { settings });
const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US });
await session.post('Profiler.start');
try {
  within(WATCHED_MS, () => policy.evaluate(input, policy.entrypoints[ENTRYPOINT] as number));
} catch {
  // It was cut again, or failed; what was seen until then is what is asked for.
}
const { profile } = await session.post('Profiler.stop');
const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
const times = new Map<string, number>();

/** Each sample counts for the innermost rule that it was in. */
function count(id: number, rule: string | undefined): void {
  const node = nodes.get(id);
  if (!node) return;
  const own = OF_RULE.exec(node.callFrame.functionName)?.[1];
  const within = own !== undefined && !NEVER.test(own) ? own : rule;
  if (within !== undefined) times.set(within, (times.get(within) ?? 0) + (node.hitCount ?? 0));
  for (const child of node.children ?? []) count(child, within);
}
const [root] = profile.nodes;
if (root) count(root.id, undefined);
const [most] = [...times].sort(([, a], [, b]) => b - a);
parentPort?.postMessage(most && most[1] > 0 ? most[0] : undefined);
