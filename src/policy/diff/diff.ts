// What a change of a policy is: settings, rules, tests, who may call what, and, with logs, which past calls would be decided
// otherwise. For whoever reviews it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SITE_SCHEMA } from '../../decision/data/site-settings.ts';
import { sourceFiles } from '../../decision/manifest.ts';
import { type AccessMatrix, askMatrix, rolesOf } from '../matrix/ask.ts';
import type { MatrixTool } from '../matrix/ordinary.ts';
import { MATRIX_FILE, readMatrix } from '../matrix/text.ts';
import { toolsInCases, toolsOf, unionOf } from '../matrix/tools.ts';
import type { Opa } from '../opa.ts';
import { replayLogs } from '../replay/replay.ts';
import type { Tally } from '../replay/tally.ts';
import { patchOf } from '../report/patch.ts';
import type { LoadedVersion } from '../versions/load.ts';
import { type AccessChange, accessChanges } from './access.ts';
import { type RuleChange, ruleChanges } from './rules.ts';
import { type SettingChange, settingChanges } from './settings.ts';
import { type TestChanges, type Tests, testChanges, testsOf } from './tests.ts';

export interface PolicyDiff {
  before: VersionNamed;
  after: VersionNamed;
  settings: SettingChange[];
  /** Undefined where the rules cannot be read, because there is no OPA or a bundle has none. */
  rules: RuleChange[] | undefined;
  tests: TestChanges;
  access: AccessChange[];
  /** Past decisions, by both; undefined without logs. */
  past: Tally | undefined;
  /** Unified diffs of Rego and schema, by file. */
  patches: { file: string; patch: string }[];
}

export interface VersionNamed {
  name: string;
  commit: string | null;
  revision: string;
  wasm_sha256: string;
}

export interface DiffOptions {
  opa: Opa | undefined;
  /** Tools of a configuration. */
  tools?: readonly MatrixTool[];
  logs?: readonly string[];
  threads?: number | undefined;
  onProgress?: (read: number, all: number) => void;
}

/** Rejects with an OperatorError for a log that cannot be read. */
export async function diffPolicies(
  before: LoadedVersion,
  after: LoadedVersion,
  options: DiffOptions,
): Promise<PolicyDiff> {
  const { opa, logs = [], threads, onProgress } = options;
  const [wasTests, isTests] = [await testsOf(before, opa), await testsOf(after, opa)];
  const [was, is] = matrices(before, after, wasTests, isTests, options.tools ?? []);
  const past =
    logs.length === 0 ? undefined : await replayLogs({ files: logs, policy: after, before, threads, onProgress });
  return {
    ...{ before: named(before), after: named(after) },
    settings: settingChanges(before, after),
    rules: before.modules && after.modules ? ruleChanges(before.modules, after.modules) : undefined,
    tests: testChanges(wasTests, isTests),
    access: accessChanges(was, is),
    past,
    patches: patchesOf(before, after),
  };
}

const named = ({ name, commit, revision, manifest }: LoadedVersion): VersionNamed => ({
  ...{ name, commit: commit ?? null, revision, wasm_sha256: manifest.wasm_sha256 },
});

/** Both policies are asked about all tools and roles that either knows. */
function matrices(
  before: LoadedVersion,
  after: LoadedVersion,
  wasTests: Tests,
  isTests: Tests,
  configured: readonly MatrixTool[],
): [AccessMatrix, AccessMatrix] {
  const written = [after, before].map(({ paths }) => {
    const file = join(paths.dir, MATRIX_FILE);
    return readMatrix(existsSync(file) ? readFileSync(file, 'utf8') : '');
  });
  const called = unionOf(...[isTests, wasTests].map(({ cases }) => toolsInCases(cases)));
  const known = unionOf(configured, ...written.map((each) => each.tools));
  const tools = unionOf(...[after, before].map(({ settings }) => toolsOf(known, settings, called)));
  const roles = rolesOf(after, [...rolesOf(before), ...written.flatMap((each) => each.roles)]);
  return [askMatrix(before, tools, roles), askMatrix(after, tools, roles)];
}

/** Settings are told in words; what else decides is shown as it is written. */
function patchesOf(before: LoadedVersion, after: LoadedVersion): PolicyDiff['patches'] {
  // What has no sources says nothing about those of the other.
  if (!before.hasSources || !after.hasSources) return [];
  const [was, is] = [textsOf(before), textsOf(after)];
  return [...new Set([...was.keys(), ...is.keys()])].sort().flatMap((file) => {
    const [old = '', fresh = ''] = [was.get(file), is.get(file)];
    return old === fresh ? [] : [{ file, patch: patchOf(file, old, fresh) }];
  });
}

function textsOf({ paths }: LoadedVersion): Map<string, string> {
  const files = new Map(sourceFiles(paths));
  const schema = join(paths.site, SITE_SCHEMA);
  if (existsSync(schema)) files.set(`site/${SITE_SCHEMA}`, schema);
  return new Map([...files].map(([name, file]) => [name, readFileSync(file, 'utf8')]));
}
