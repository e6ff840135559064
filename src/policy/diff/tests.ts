// Tests and cases that a change of a policy adds, loses or makes expect something else.

import { messageOf } from '../../core/errors.ts';
import { canonicalJson } from '../../formats/json.ts';
import { type DecisionCase, loadAllCases } from '../cases.ts';
import type { Opa } from '../opa.ts';
import { nameOf, parseModules } from '../rego/modules.ts';
import { withStage } from '../run/stage.ts';
import { partsOf, testFolders } from '../run/test-folders.ts';
import type { LoadedVersion } from '../versions/load.ts';

/** What a version is tested with. */
export interface Tests {
  cases: DecisionCase[];
  /** Rego tests, as "package.test_name". */
  rego: string[];
  /** Why part of them cannot be read: a case whose settings or input no longer fit, for example. */
  problem: string | undefined;
}

export interface TestChanges {
  cases_added: string[];
  cases_lost: string[];
  /** Cases that expect something else, or are about something else. */
  cases_changed: { name: string; before: string; after: string }[];
  tests_added: string[];
  tests_lost: string[];
  problems: string[];
}

/** Reads them. Never rejects: what cannot be read is told. `opa`: without one the Rego tests are not named. */
export async function testsOf(version: LoadedVersion, opa: Opa | undefined): Promise<Tests> {
  const { paths, settings, tests, hasSources, name } = version;
  const found: Tests = { cases: [], rego: [], problem: undefined };
  if (!hasSources) return { ...found, problem: `${name} was compiled, and brings no tests` };
  try {
    for (const part of partsOf(paths, testFolders(paths, tests), true)) {
      found.cases.push(...loadAllCases(part.cases, settings, part.paths, part.own));
      if (opa && part.rego.size > 0) found.rego.push(...(await regoTests(part.paths, part.rego, opa)));
    }
  } catch (thrown) {
    found.problem = messageOf(thrown);
  }
  found.rego = [...new Set(found.rego)].sort();
  return found;
}

const regoTests = (paths: LoadedVersion['paths'], files: ReadonlyMap<string, string>, opa: Opa): Promise<string[]> =>
  withStage(
    paths,
    async (stage) => {
      const modules = await parseModules(stage.dir, [...files.keys()], opa);
      return modules.flatMap((module) =>
        module.rules.map(nameOf).flatMap((name) => (name.startsWith('test_') ? [`${module.package}.${name}`] : [])),
      );
    },
    files,
  );

/** A test that is not there any more may be the only thing that made somebody look at a rule. */
export function testChanges(before: Tests, after: Tests): TestChanges {
  const [was, is] = [byName(before.cases), byName(after.cases)];
  const changed = [...was].flatMap(([name, old]) => {
    const fresh = is.get(name);
    if (!fresh || canonicalJson(contentOf(old)) === canonicalJson(contentOf(fresh))) return [];
    return [{ name, before: expected(old), after: expected(fresh) }];
  });
  // What could not be read is not lost.
  const whole = before.problem === undefined && after.problem === undefined;
  return {
    cases_added: [...is.keys()].filter((name) => !was.has(name)),
    cases_lost: whole ? [...was.keys()].filter((name) => !is.has(name)) : [],
    cases_changed: changed,
    tests_added: after.rego.filter((name) => !before.rego.includes(name)),
    tests_lost: whole ? before.rego.filter((name) => !after.rego.includes(name)) : [],
    problems: [before.problem, after.problem].filter((problem) => problem !== undefined),
  };
}

/** Two files may have a case of the same name; one that is read from two folders is one. */
function byName(cases: readonly DecisionCase[]): Map<string, DecisionCase> {
  const named = new Map<string, DecisionCase>();
  const same = (a: DecisionCase | undefined, b: DecisionCase) =>
    a !== undefined && canonicalJson(contentOf(a)) === canonicalJson(contentOf(b));
  for (const each of cases) {
    const title = `${each.file.split(/[\\/]/).at(-1) ?? ''}: ${each.name}`;
    let name = title;
    for (let n = 2; named.has(name) && !same(named.get(name), each); n++) name = `${title} (${n})`;
    named.set(name, each);
  }
  return named;
}

/** Settings are left out: a case without settings of its own has those of the policy, which are compared as such. */
const contentOf = ({ input, expect }: DecisionCase) => ({ input, expect });

const expected = ({ expect }: DecisionCase): string => `${expect.outcome} (${expect.reasons.join(', ')})`;
