// `sallyport policy update`: shows how the shipped part of a policy folder differs from this version, and takes it over.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { VERSION } from '../../core/paths.ts';
import { PACKAGED } from '../../decision/data/paths.ts';
import { type Changed, compareCases, compiledAsIs } from '../../policy/update/compare.ts';
import { type Change, settingsAfter, shippedChanges, type Updated, updateShipped } from '../../policy/update/update.ts';
import { paint, print, printJson } from '../output.ts';

export interface UpdateOptions {
  dir: string;
  tests?: string;
  dryRun?: boolean;
  json?: boolean;
}

/** Shows the differences and, unless it is a dry run, replaces the shipped part. Sets exit code 1 when something is left to do. */
export async function policyUpdate({ dir, tests, dryRun = false, json = false }: UpdateOptions): Promise<void> {
  const folder = resolve(dir);
  const before = compiledAsIs(folder);
  const updated: Updated = dryRun
    ? { changes: shippedChanges(folder), kept: undefined, compiled: false }
    : updateShipped(folder, new Date());
  const left = [...addedRules(updated.changes)];
  let changed: Changed[] = [];
  try {
    const settings = settingsAfter(folder);
    const cases = join(tests ?? join(dirname(folder), 'policy-tests'), 'cases');
    const after = new Uint8Array(readFileSync(join(PACKAGED, 'compiled', 'policy.wasm')));
    if (existsSync(cases)) changed = compareCases(cases, settings, before, after);
  } catch (thrown) {
    left.push(`mend data.yaml or the cases: ${messageOf(thrown)}`);
  }
  if (!dryRun && !updated.compiled)
    left.push(`compile the rules of the site again: sallyport policy build --dir ${dir}`);
  if (json)
    printJson({
      ok: left.length === 0,
      version: VERSION,
      written: !dryRun,
      ...updated,
      cases_changed: changed,
      to_do: left,
    });
  else show(dir, dryRun, updated, changed, left);
  if (left.length > 0 && !dryRun) process.exitCode = 1;
}

function show(
  dir: string,
  dryRun: boolean,
  { changes, kept }: Updated,
  changed: readonly Changed[],
  left: readonly string[],
): void {
  for (const { patch } of changes) for (const line of patch.split('\n')) print(coloured(line));
  const count = `${changes.length} ${changes.length === 1 ? 'file' : 'files'}`;
  if (changes.length === 0) print(`${dir}: the shipped part is that of version ${VERSION}`);
  else if (dryRun) print(`${dir}: ${count} of the shipped part differ from version ${VERSION}; nothing was written`);
  else
    print(
      `${dir}: ${count} of the shipped part are now those of version ${VERSION}${kept ? `; the former ones are in ${kept}` : ''}`,
    );
  for (const { name, before, after } of changed) print(`case "${name}": was ${before}, is ${after}`);
  if (changed.length > 0)
    print('These cases are decided otherwise than before: CHANGELOG.md says why; correct them or add a rule to site/.');
  for (const line of left) print(`to do: ${line}`);
}

const addedRules = (changes: readonly Change[]): string[] =>
  changes
    .filter(({ kind, name }) => kind === 'added' && name.endsWith('.rego'))
    .map(
      ({ name }) =>
        `${name} is not part of the shipped policy: put its rules into site/ as "package site.<name>" (docs/policies.md)`,
    );

function coloured(line: string): string {
  if (line.startsWith('+')) return paint('green', line);
  return line.startsWith('-') ? paint('red', line) : line;
}
