// A change of a policy, for whoever reviews it.
import { replayBlocks } from '../replay/report.ts';
import { type Block, code, counted, type Item, type Line, toned } from '../report/document/document.ts';
import type { AccessChange } from './access.ts';
import type { PolicyDiff, VersionNamed } from './diff.ts';
import type { RuleChange } from './rules.ts';
import type { SettingChange } from './settings.ts';
import type { TestChanges } from './tests.ts';

/** Names that are listed; all are in the JSON. */
const MOST_NAMES = 30;
const DIRECTION = { looser: 'bad', stricter: 'good', other: 'quiet' } as const;

export function diffBlocks(diff: PolicyDiff, failed: readonly string[]): Block[] {
  const { before, after, settings, rules, tests, access, past, patches } = diff;
  const sections: Block[][] = [
    settingBlocks(settings),
    ruleBlocks(rules, patches.length, before.wasm_sha256 !== after.wasm_sha256),
    testBlocks(tests),
    accessBlocks(access),
    past
      ? [
          { heading: 'Past calls', level: 2 },
          ...replayBlocks(past, `as ${before.name} decides`, `as ${after.name} decides`),
        ]
      : [],
    patches.flatMap(({ file, patch }, i): Block[] => [
      ...(i === 0 ? [{ heading: 'Rego and schema', level: 2 } as const] : []),
      { details: { summary: code(file), blocks: [{ code: patch.trimEnd(), language: 'diff' }] } },
    ]),
  ];
  const isSame =
    settings.length + (rules ?? []).length + access.length + patches.length === 0 && sections[2]?.length === 0;
  const blocks = sections.flat();
  const nothing: Block[] = isSame ? [{ text: toned('good', 'The two policies are the same.') }] : [];
  const stopped: Block[] =
    failed.length === 0
      ? []
      : [
          {
            text: [
              toned('bad', 'Stopped by --fail-on: '),
              ...failed.flatMap((kind, i) => [i > 0 ? ', ' : '', code(kind)]),
            ],
          },
        ];
  return [
    { heading: 'Policy change', level: 1 },
    { text: ['from ', ...versionOf(before), ' to ', ...versionOf(after)] },
    ...stopped,
    ...nothing,
    ...blocks,
  ];
}

const versionOf = ({ name, commit, revision }: VersionNamed) => [
  code(name),
  ` (${commit === null ? '' : `commit ${commit.slice(0, 12)}, `}revision ${revision})`,
];

function settingBlocks(settings: readonly SettingChange[]): Block[] {
  if (settings.length === 0) return [];
  const list = settings.map((each): Item => {
    const { name, comment, direction, path, file, line } = each;
    const word = direction === 'other' ? '' : ` (${direction})`;
    const what: Line = [
      ...[toned(DIRECTION[direction], `${name} `), ...valuesOf(each), toned(DIRECTION[direction], word)],
      toned('quiet', `  ${path}, ${file}:${line}`),
    ];
    return comment === undefined ? what : { line: what, below: comment };
  });
  return [{ heading: `Settings: ${settings.length} changed`, level: 2 }, { list }];
}

function valuesOf({ before, after, added, removed }: SettingChange): Extract<Line, readonly unknown[]> {
  const isList = added.length + removed.length > 0;
  if (!isList) return [code(before ?? 'nothing'), ' → ', code(after ?? 'nothing')];
  const part = (sign: string, names: readonly string[]) =>
    names
      .slice(0, MOST_NAMES)
      .flatMap((name) => [' ', code(`${sign}${name}`)])
      .concat(names.length > MOST_NAMES ? [` ${sign}${names.length - MOST_NAMES} more`] : []);
  return [...part('+', added), ...part('−', removed)].slice(1);
}

function ruleBlocks(rules: readonly RuleChange[] | undefined, patches: number, differ: boolean): Block[] {
  if (rules === undefined && (patches > 0 || differ)) {
    const text =
      patches > 0
        ? 'No OPA is here to read them, so they are shown only as text, below.'
        : 'The compiled policies differ; one of them brings no sources, so nobody can say in which rules.';
    return [{ heading: 'Rules', level: 2 }, { text }];
  }
  if (rules === undefined) return [];
  if (rules.length === 0) return [];
  const tone = { added: 'good', removed: 'bad', changed: 'warn' } as const;
  const rows = rules.map((rule): Line[] => [
    toned(tone[rule.change], rule.what === 'metadata' && rule.change === 'changed' ? 'METADATA changed' : rule.change),
    code(rule.code ?? `${rule.package}.${rule.name}`),
    rule.title ??
      (rule.affects.length > 0 ? `helper of ${fewOf(rule.affects)}` : rule.kind === 'helper' ? 'helper' : ''),
    rule.controls.join(', '),
    code(`${rule.file}:${rule.line}`),
  ]);
  return [
    { heading: `Rules: ${counted(rules.length, 'change')}`, level: 2 },
    { table: { head: ['', 'rule', '', 'controls', ''], rows } },
  ];
}

const fewOf = (names: readonly string[]): string =>
  names.length <= 4 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;

function testBlocks(tests: TestChanges): Block[] {
  const { cases_added, cases_lost, cases_changed, tests_added, tests_lost, problems } = tests;
  const names = (word: string, tone: 'good' | 'bad' | 'warn', list: readonly string[]): Line[] => [
    ...list.slice(0, MOST_NAMES).map((name): Line => [toned(tone, word), ' ', code(name)]),
    ...(list.length > MOST_NAMES ? [toned('quiet', `… and ${list.length - MOST_NAMES} more`)] : []),
  ];
  const list: Line[] = [
    ...names('case lost', 'bad', cases_lost),
    ...names('test lost', 'bad', tests_lost),
    ...cases_changed.slice(0, MOST_NAMES).map(({ name, before, after }): Line => {
      const what: Line = before === after ? ['another input'] : [code(before), ' → ', code(after)];
      return [toned('warn', 'case changed'), ' ', code(name), ' ', ...(what as Extract<Line, readonly unknown[]>)];
    }),
    ...names('case added', 'good', cases_added),
    ...names('test added', 'good', tests_added),
    ...problems.map((problem): Line => [toned('bad', 'cannot be read: '), problem]),
  ];
  return list.length === 0 ? [] : [{ heading: 'Tests and cases', level: 2 }, { list }];
}

/** Tools and roles with the same change are one row. */
function accessBlocks(access: readonly AccessChange[]): Block[] {
  if (access.length === 0) return [];
  const rows = new Map<string, { change: AccessChange; tools: Set<string>; roles: Set<string> }>();
  for (const change of access) {
    // First the roles of one tool are put together, and then the tools for which these are the same.
    const key = JSON.stringify([change.tool, change.before, change.after]);
    const row = rows.get(key) ?? { change, tools: new Set([change.tool]), roles: new Set() };
    row.roles.add(change.role || '(no role)');
    rows.set(key, row);
  }
  const folded = new Map<string, { change: AccessChange; tools: Set<string>; roles: Set<string> }>();
  for (const row of rows.values()) {
    const key = JSON.stringify([[...row.roles].sort(), row.change.before, row.change.after]);
    const known = folded.get(key) ?? { ...row, tools: new Set() };
    for (const tool of row.tools) known.tools.add(tool);
    folded.set(key, known);
  }
  const names = (all: ReadonlySet<string>): Line => {
    const list = [...all].sort();
    return [
      ...list.slice(0, MOST_NAMES).flatMap((name, i) => [i > 0 ? ', ' : '', code(name)]),
      list.length > MOST_NAMES ? ` and ${list.length - MOST_NAMES} more` : '',
    ];
  };
  const table = [...folded.values()].map(({ change, tools, roles }): Line[] => {
    const looser = change.kinds.includes('access-added') || change.kinds.includes('mask-lost');
    const tone = looser ? 'bad' : change.kinds.includes('access-lost') ? 'warn' : 'quiet';
    return [names(roles), names(tools), change.before, toned(tone, change.after)];
  });
  return [
    { heading: 'Who may call what', level: 2 },
    { text: 'What the policy says to an ordinary call of a client with this role alone.' },
    { table: { head: ['role', 'tool', 'before', 'after'], rows: table } },
  ];
}
