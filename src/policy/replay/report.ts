// What a replay found, for people.
import { type Block, code, counted, type Line, number, share, toned } from '../report/document/document.ts';
import { byKind, titleOf, toneOf } from './kinds.ts';
import type { Group, Tally } from './tally.ts';

const OUTCOMES = ['allow', 'rotate', 'deny'];
/** Rows of a table; all are in the JSON. */
const MOST_ROWS = 10;

/** `before`: the name of what is compared with, such as "on record"; `after`: that of the policy. */
export function replayBlocks(tally: Tally, before: string, after: string): Block[] {
  const { decisions, compared, same, undecidable, faults, failed } = tally;
  const different = compared - same;
  const blocks: Block[] = [{ text: summary(tally, different) }];
  if (faults.count > 0) blocks.push(...faultBlocks(faults));
  if (compared > 0)
    blocks.push({ text: [toned('quiet', `rows: ${before}; columns: ${after}`)] }, { table: matrixOf(tally) });
  const kinds = Object.keys(tally.changes).sort(byKind);
  if (kinds.length > 0)
    blocks.push({
      bars: {
        title: 'Decisions that changed',
        rows: kinds.map((kind) => ({
          label: titleOf(kind),
          value: tally.changes[kind]?.count ?? 0,
          tone: toneOf(kind),
        })),
      },
    });
  for (const kind of kinds) {
    const group = tally.changes[kind] as Group;
    blocks.push(
      { heading: [toned(toneOf(kind), titleOf(kind)), `: ${counted(group.count, 'decision')}`], level: 3 },
      ...groupBlocks(group),
    );
  }
  if (undecidable.count > 0)
    blocks.push(
      {
        heading: [
          toned('warn', 'Undecidable'),
          `: ${counted(undecidable.count, 'decision')} (${share(undecidable.count, decisions)})`,
        ],
        level: 3,
      },
      { text: 'The record no longer holds what the policy may read, so nobody can say how it would decide.' },
      ...groupBlocks(undecidable),
    );
  if (failed.count > 0)
    blocks.push(
      { heading: [toned('bad', 'No usable decision'), `: ${counted(failed.count, 'input')}`], level: 3 },
      { text: 'The policy gave none, and the connector would refuse these calls.' },
      ...groupBlocks(failed),
    );
  return blocks;
}

function summary(tally: Tally, different: number): Line {
  const { decisions, same, undecidable, not_decided: none, malformed, policies, from, to } = tally;
  if (decisions === 0)
    return [
      toned('warn', 'no decision of a policy in these files'),
      malformed > 0 ? `; ${counted(malformed, 'line')} that no connector has written` : '',
    ];
  const parts: Line[] = [
    [counted(decisions, 'decision'), from === '' ? '' : ` of ${from} to ${to}`, ': '],
    [toned(different === 0 ? 'good' : 'bad', `${number(different)} otherwise`), ` (${share(different, decisions)}), `],
    [`${number(same)} the same`],
    [undecidable.count > 0 ? `, ${number(undecidable.count)} undecidable` : ''],
    [none > 0 ? `; ${counted(none, 'call')} that the connector refused by itself left aside` : ''],
    [
      malformed > 0
        ? `; ${counted(malformed, 'line')} that ${malformed === 1 ? 'is no record' : 'are no records'}`
        : '',
    ],
    [Object.keys(policies).length > 1 ? `; decided by ${counted(Object.keys(policies).length, 'policy')}` : ''],
  ];
  return parts.flat() as Line;
}

function faultBlocks(faults: Group): Block[] {
  return [
    {
      heading: [
        toned('bad', 'Fault'),
        `: ${counted(faults.count, 'decision')} of this very policy, decided otherwise than on record`,
      ],
      level: 3,
    },
    {
      text: 'The same policy gives the same decision for the same input. Either the record was changed, or the policy is not the one whose revision it has.',
    },
    ...groupBlocks(faults),
  ];
}

function matrixOf({ matrix }: Tally) {
  return {
    head: ['', ...OUTCOMES],
    rows: OUTCOMES.map((from): Line[] => [
      from,
      ...OUTCOMES.map((to): Line => {
        const count = matrix[`${from}->${to}`] ?? 0;
        if (count === 0) return toned('quiet', '·');
        return from === to ? number(count) : toned(toneOf(`${from}->${to}`), number(count));
      }),
    ]),
    right: [1, 2, 3],
  };
}

function groupBlocks(group: Group): Block[] {
  const tables: [string, Record<string, number>][] = [
    ['what', group.by_detail],
    ['tool', group.by_tool],
    ['role', group.by_role],
    ['client', group.by_client],
  ];
  const rows = tables.flatMap(([kind, table]) => rowsOf(kind, table));
  return [
    { table: { head: ['', '', 'decisions'], rows, right: [2] } },
    { text: ['for example ', ...group.samples.flatMap((id, i) => [i > 0 ? ', ' : '', code(id)])] },
  ];
}

function rowsOf(kind: string, table: Record<string, number>): Line[][] {
  const sorted = Object.entries(table).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const rows = sorted
    .slice(0, MOST_ROWS)
    .map(([name, count], i): Line[] => [i === 0 ? toned('quiet', kind) : '', code(name), number(count)]);
  const rest = sorted.slice(MOST_ROWS);
  const more = rest.reduce((sum, [, count]) => sum + count, 0);
  return rest.length === 0 ? rows : [...rows, ['', toned('quiet', `${number(rest.length)} more`), number(more)]];
}
