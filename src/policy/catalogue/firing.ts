// Which tests, cases and sequences make each code fire. Cases and sequences say so by what they decide; of a Rego test, what it
// evaluates says it.
import type { PolicyDecision } from '../../decision/schema.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import { loadAllCases } from '../cases.ts';
import { compileStage } from '../compiler.ts';
import { runTests } from '../gate/gate.ts';
import type { Opa } from '../opa.ts';
import { type Module, nameOf, parseModules } from '../rego/modules.ts';
import { reasonRules } from '../rego/reasons.ts';
import type { Location } from '../rego/terms.ts';
import { type CoverageReport, coveredOf, runInWasm } from '../run/cases.ts';
import { loadSequences, playSequences } from '../run/sequences.ts';
import { type Stage, withStage } from '../run/stage.ts';
import type { Part } from '../run/test-folders.ts';
import { failingCall, judgeExpected, summaryOf } from '../tests/judge.ts';

/** By code, the names: "case: …", "sequence: …", "test: package.name". */
export async function firingOf(
  parts: readonly Part[],
  settings: LoadedSettings,
  opa: Opa,
): Promise<Map<string, string[]>> {
  const firing = new Map<string, Set<string>>();
  const add = (code: string, name: string) => firing.set(code, (firing.get(code) ?? new Set()).add(name));
  for (const part of parts) await withStage(part.paths, (stage) => ofPart(part, stage, settings, opa, add), part.rego);
  return new Map([...firing].map(([code, names]) => [code, [...names]]));
}

async function ofPart(
  part: Part,
  stage: Stage,
  settings: LoadedSettings,
  opa: Opa,
  add: (code: string, name: string) => void,
): Promise<void> {
  const modules = await parseModules(stage.dir, stage.sources, opa);
  const compiled = await compileStage(stage, modules, opa, {});
  const module = new WebAssembly.Module(new Uint8Array(compiled.wasm));
  for (const entry of loadAllCases(part.cases, settings, part.paths, part.own)) {
    const evaluation = runInWasm(module, entry);
    // A case that fails proves nothing about the code that it makes fire.
    if (!evaluation.ok || judgeExpected(entry.expect, summaryOf(evaluation.decision))) continue;
    for (const code of codesOf(evaluation.decision)) add(code, `case: ${entry.name}`);
  }
  const played = await playSequences(loadSequences(part.sequences, settings, part.paths), compiled);
  for (const sequence of played) {
    if (failingCall(sequence)) continue;
    for (const { decision } of sequence.played)
      for (const code of codesOf(decision)) add(code, `sequence: ${sequence.name}`);
  }
  const tests = await parseModules(stage.dir, [...part.rego.keys()], opa);
  const names = tests
    .flatMap((each) => each.rules.map((rule) => ({ package: each.package, name: nameOf(rule) })))
    .filter(({ name }) => name.startsWith('test_'));
  // Each is a process of OPA; a few at a time.
  for (let i = 0; i < names.length; i += 4)
    await Promise.all(
      names.slice(i, i + 4).map(async ({ package: of, name }) => {
        for (const code of await firedBy(stage, modules, settings, opa, `data.${of}.${name}`))
          add(code, `test: ${of}.${name}`);
      }),
    );
}

const codesOf = (decision: PolicyDecision | undefined): string[] =>
  [...(decision?.reasons ?? []), ...(decision?.observed ?? [])].map(({ code }) => code);

async function firedBy(
  stage: Stage,
  modules: readonly Module[],
  settings: LoadedSettings,
  opa: Opa,
  test: string,
): Promise<string[]> {
  const text = await runTests(stage, settings, opa, ['--coverage', '--run', `^${test.replaceAll('.', '\\.')}$`]);
  const report = JSON.parse(text) as Partial<CoverageReport>;
  // OPA reports none for a test that fails.
  if (!report.files) return [];
  const covered = coveredOf({ files: report.files });
  return reasonRules(modules).flatMap(({ module, rule, code }) => {
    const at = rule.head.location as (Location & { col?: number }) | undefined;
    return covered.get(module.file)?.has(`${at?.row}:${at?.col}`) ? [code] : [];
  });
}
