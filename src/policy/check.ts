// Checks everything about a policy folder that can be known without running it. A problem names file and line
// where they are known, because it is read in an editor or a pull request.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../core/errors.ts';
import { loadSettings, readCompiled } from '../decision/bundle.ts';
import { hashSources } from '../decision/manifest.ts';
import type { Problem } from '../formats/yaml.ts';
import { compile, opaRun } from './compiler.ts';
import type { Opa } from './opa.ts';

/**
 * Answers all problems of the policy folder. While the settings or sources have errors, only those are reported.
 */
export async function checkPolicies(dir: string, opa: Opa): Promise<Problem[]> {
  const problems: Problem[] = [];
  const attempt = async (work: () => Promise<unknown> | unknown) => {
    try {
      await work();
    } catch (thrown) {
      problems.push(...parse(messageOf(thrown), dir));
    }
  };
  await attempt(() => loadSettings(dir));
  // The strict check uses the schemas, which catch a typo in an `input.` path, and our capabilities, which catch
  // a builtin that WASM does not have.
  await attempt(() =>
    opaRun(opa, dir, ['check', '--strict', '--capabilities', 'capabilities.json', '-s', 'schemas', 'sallyport']),
  );
  if (problems.length > 0) return problems;

  const unformatted = (await opaRun(opa, dir, ['fmt', '--list', 'sallyport'])).split('\n').filter(Boolean);
  problems.push(
    ...unformatted.map((file) => ({
      file: join(dir, file),
      line: 1,
      path: '',
      message: 'is not formatted; run: opa fmt --write',
    })),
  );
  problems.push(...checkMetadata(dir));
  problems.push(...(await checkCompiled(dir, opa)));
  return problems;
}

/**
 * Checks that every reason code is described in METADATA and every described code is used. Otherwise an auditor
 * would read a code that nothing explains.
 */
function checkMetadata(dir: string): Problem[] {
  return Object.keys(hashSources(dir)).flatMap((name) => {
    const file = join(dir, name);
    const lines = readFileSync(file, 'utf8').split('\n');
    const area = /^package (?:\w+\.)*(\w+)$/m.exec(lines.join('\n'))?.[1] ?? '';
    const described = new Map<string, number>();
    const used = new Map<string, number>();
    lines.forEach((line, i) => {
      const reason = /^#\s+reason: (\S+)$/.exec(line)?.[1];
      if (reason) described.set(reason, i + 1);
      for (const [, code] of line.replace(/#.*$/, '').matchAll(/"([a-z]\w*\.[a-z]\w*)"/g))
        if (code?.startsWith(`${area}.`)) used.set(code, i + 1);
    });
    const problem = (line: number, message: string): Problem => ({ file, line, path: '', message });
    return [
      ...[...used]
        .filter(([code]) => !described.has(code))
        .map(([code, line]) => problem(line, `reason "${code}" has no METADATA with custom.reason`)),
      ...[...described]
        .filter(([code]) => !used.has(code))
        .map(([code, line]) => problem(line, `METADATA describes reason "${code}", which no rule gives`)),
      ...blocksWithout(lines, file),
      ...falseOwnPlaces(lines, file),
    ];
  });
}

/** Checks that a METADATA block with a reason also has what a person needs: title, description and controls. */
function blocksWithout(lines: string[], file: string): Problem[] {
  const problems: Problem[] = [];
  lines.forEach((line, i) => {
    if (line !== '# METADATA') return;
    let end = i + 1;
    while (lines[end]?.startsWith('#')) end++;
    const block = lines.slice(i, end).join('\n');
    if (!/^#\s+reason:/m.test(block)) return;
    for (const key of ['title', 'description', 'controls']) {
      if (!new RegExp(`^#\\s+${key}:`, 'm').test(block))
        problems.push({ file, line: i + 1, path: '', message: `METADATA has a reason but no ${key}` });
    }
  });
  return problems;
}

/**
 * Checks that what says `own_place: true` looks at the place of the call alone. The place of such a denial counts as not
 * in use, so a rule that looked at other networks would let the thief it has found go on. Whole files are looked at,
 * because a helper may read for the rule.
 */
function falseOwnPlaces(lines: string[], file: string): Problem[] {
  const marked = lines.findIndex((line) => /^#\s+own_place: true$/.test(line));
  const reads = lines.findIndex((line) =>
    /\busage\b|\bdata\.(?!settings\b|sallyport\.settings\b)/.test(line.replace(/#.*$/, '')),
  );
  if (marked < 0 || reads < 0) return [];
  const message = `a rule of this file says own_place, so nothing in it may look at usage or at other rules`;
  return [{ file, line: reads + 1, path: '', message }];
}

/** Checks that the committed WASM is what the sources compile to, byte for byte. */
async function checkCompiled(dir: string, opa: Opa): Promise<Problem[]> {
  const stale = (message: string): Problem[] => [
    {
      file: join(dir, 'compiled', 'policy.wasm'),
      line: 0,
      path: '',
      message: `${message}; run: sallyport policy build`,
    },
  ];
  const committed = readCompiled(dir);
  if (!committed) return stale('does not belong to the sources');
  const fresh = await compile(dir, opa);
  if (!fresh.wasm.equals(committed.wasm)) return stale('differs from what the sources compile to');
  return JSON.stringify(fresh.manifest) === JSON.stringify(committed.manifest)
    ? []
    : stale('manifest.json differs from what the sources say');
}

/** Splits an error text into problems. Lines have the form `file:line: message`, from OPA or from ourselves. */
function parse(message: string, dir: string): Problem[] {
  const problems = message.split('\n').flatMap((line): Problem[] => {
    const match = /^(?:\d+ errors? occurred(?: during loading)?: )?(\S+\.(?:rego|ya?ml|json)):(\d+):? (.*)$/.exec(
      line.trim(),
    );
    if (!match) return [];
    const [, file = '', number = '0', text = ''] = match;
    return [
      { file: file.startsWith('sallyport/') ? join(dir, file) : file, line: Number(number), path: '', message: text },
    ];
  });
  return problems.length > 0 ? problems : [{ file: dir, line: 0, path: '', message }];
}
