// What `--fail-on` can name of a change of a policy, and what of it happened.
import { KINDS } from '../replay/kinds.ts';
import type { PolicyDiff } from './diff.ts';

const OF_THE_CHANGE = [
  ...['any', 'setting-looser', 'setting-stricter', 'setting-changed', 'rule-added', 'rule-removed', 'rule-changed'],
  ...[
    'access-added',
    'access-lost',
    'access-changed',
    'case-added',
    'case-lost',
    'case-changed',
    'test-added',
    'test-lost',
    'tests-unreadable',
  ],
] as const;
const OF_THE_LOG = ['undecidable', 'failed'];

/** All names. */
export const DIFF_KINDS: readonly string[] = [...OF_THE_CHANGE, ...OF_THE_LOG, ...KINDS];

/** Names of which only a log can tell. */
export const needsLog = (kind: string): boolean =>
  OF_THE_LOG.includes(kind) || (KINDS.includes(kind) && kind !== 'mask-lost' && kind !== 'mask-added');

/** What of the names happened. What tests were lost cannot be known where they cannot be read, so that counts as well. */
export const failures = (names: readonly string[], found: ReadonlyMap<string, number>): string[] =>
  names.filter((name) => found.has(name) || (/^(case|test)-lost$/.test(name) && found.has('tests-unreadable')));

/** How often each thing happened; nothing is left out that happened. */
export function happened({
  before,
  after,
  settings,
  rules,
  access,
  tests,
  past,
  patches,
}: PolicyDiff): Map<string, number> {
  const found = new Map<string, number>();
  const add = (kind: string, count = 1) => void (count > 0 && found.set(kind, (found.get(kind) ?? 0) + count));
  for (const { direction } of settings) add(direction === 'other' ? 'setting-changed' : `setting-${direction}`);
  for (const { change } of rules ?? []) add(`rule-${change}`);
  for (const { kinds } of access) for (const kind of kinds) add(kind);
  add('case-added', tests.cases_added.length);
  add('case-lost', tests.cases_lost.length);
  add('case-changed', tests.cases_changed.length);
  add('test-added', tests.tests_added.length);
  add('test-lost', tests.tests_lost.length);
  add('tests-unreadable', tests.problems.length);
  // Where the rules could not be read, or only what stands around them changed, their texts tell it.
  const texts = patches.filter(({ file }) => file.endsWith('.rego')).length;
  if (rules === undefined || rules.length === 0)
    add('rule-changed', texts || Number(before.wasm_sha256 !== after.wasm_sha256));
  if (past) {
    for (const [kind, { count }] of Object.entries(past.changes)) add(kind, count);
    add('undecidable', past.undecidable.count + past.malformed);
    add('failed', past.failed.count);
  }
  const all = [...found].filter(([kind]) => kind !== 'undecidable').reduce((sum, [, count]) => sum + count, 0);
  add('any', all);
  return found;
}
