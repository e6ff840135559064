// What the evaluation of the policy costs: by itself, beside a policy of one rule, and inside a running connector.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { loadBundle } from '../../src/decision/bundle.ts';
import { createEvaluator, type Evaluator } from '../../src/decision/evaluator.ts';
import { inputText } from '../../src/decision/input-text.ts';
import { ENTRYPOINTS } from '../../src/decision/manifest.ts';
import type { DecisionInput } from '../../src/decision/schema.ts';
import { loadCases } from '../../src/policy/cases.ts';
import { fileInTar } from '../../src/policy/compiler.ts';
import { findOpa, type Opa } from '../../src/policy/opa.ts';
import { recompileWith } from '../../src/policy/recompile.ts';
import { opaRun } from '../../src/policy/run/opa.ts';
import { median, quantile, type Row, row, type Show } from './row.ts';

const ONE_RULE = `package sallyport

decision := {
	"outcome": "allow",
	"reasons": [{"code": "access.role", "params": {}}],
	"obligations": [],
	"observed": [],
} if input.client.id != ""

visible := set()
`;

function time(name: string, evaluator: Evaluator, input: DecisionInput, seconds: number): Row {
  const times: number[] = [];
  const { text } = inputText(input, []);
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const began = process.hrtime.bigint();
    const result = evaluator.evaluate(input, text);
    times.push(Number(process.hrtime.bigint() - began) / 1000);
    if (!result.ok || result.decision.outcome !== 'allow') throw new Error('the benchmark call is not allowed');
  }
  const warm = times.slice(times.length / 5).sort((a, b) => a - b);
  const total = warm.reduce((sum, t) => sum + t, 0);
  return row(name, {
    p50_us: quantile(warm, 0.5),
    p99_us: quantile(warm, 0.99),
    per_second: Math.round((warm.length / total) * 1e6),
    calls: times.length,
  });
}

/** Measures, in this process, the evaluation with an input of about 1 KB. */
export async function policyRows(seconds: number, show: Show): Promise<void> {
  const bundle = await loadBundle({ dir: join(PACKAGE_ROOT, 'policies') }, recompileWith());
  const ofDefault = { module: bundle.module, data: { settings: bundle.settings }, budgetMs: 1000 };
  const evaluator = createEvaluator(ofDefault);
  const input = loadCases(join(PACKAGE_ROOT, 'policy-tests/cases'), bundle.settings)[0]?.input;
  if (!input) throw new Error('no case to evaluate');
  const padded = {
    ...input,
    client: { ...input.client, user_agent: 'x'.repeat(Math.max(0, 1024 - JSON.stringify(input).length)) },
  };
  const opa = await findOpa({ build: false });
  if (!opa)
    console.log('The row of a one-rule policy is left out: there is no OPA; "sallyport policy check" builds one.');
  const floor = opa && (await oneRule(opa));
  const guarded = (always: boolean) => createEvaluator({ ...ofDefault, guard: { ms: 1000, always: () => always } });
  const [unneeded, needed] = [guarded(false), guarded(true)];
  const part = seconds / 12;
  const rounds = [1, 2, 3].map(() => ({
    floor: floor && time('evaluate, a policy of one rule', floor, padded, part),
    own: time('evaluate, default policy, 1 KB input', evaluator, padded, part),
    unneeded: time('evaluate, the same, where no guard is needed', unneeded, padded, part),
    needed: time('evaluate, the same, under the guard', needed, padded, part),
  }));
  const middle = median(rounds, ({ own }) => own.p50_us);
  if (middle.floor) show(middle.floor);
  show(middle.own);
  show(median(rounds, ({ unneeded }) => unneeded.p50_us).unneeded);
  show(median(rounds, ({ needed }) => needed.p50_us).needed);
}

async function oneRule(opa: Opa): Promise<Evaluator> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-bench-policy-'));
  try {
    writeFileSync(join(dir, 'policy.rego'), ONE_RULE);
    const bundle = join(dir, 'bundle.tar.gz');
    const entrypoints = ENTRYPOINTS.flatMap((entrypoint) => ['-e', entrypoint]);
    await opaRun(opa, dir, ['build', '-t', 'wasm', ...entrypoints, '-o', bundle, 'policy.rego']);
    const wasm = fileInTar(gunzipSync(readFileSync(bundle)), '/policy.wasm');
    return createEvaluator({ module: new WebAssembly.Module(new Uint8Array(wasm)), data: {}, budgetMs: 1000 });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The time of the evaluations that a connector has on record. */
export function recordedRow(log: string): Row {
  const times = readFileSync(log, 'utf8')
    .split('\n')
    .flatMap((line) => /"timer_rego_query_eval_ns":(\d+)/.exec(line)?.[1] ?? [])
    .map((ns) => Number(ns) / 1000)
    .filter((us) => us > 0);
  const warm = times.slice(times.length / 2).sort((a, b) => a - b);
  return row('evaluate, inside a running connector', {
    p50_us: quantile(warm, 0.5),
    p99_us: quantile(warm, 0.99),
    calls: times.length,
  });
}
