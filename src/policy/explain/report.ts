// An explanation, for people.
import { shown } from '../../decision/data/paths.ts';
import { canonicalJson } from '../../formats/json.ts';
import { type Block, code, counted, type Line, type Span, toned } from '../report/document/document.ts';
import type { Explanation, FiredRule, SilentRule } from './explain.ts';
import type { Between } from './nearest.ts';
import type { Standing } from './where.ts';

const TONES = { allow: 'good', rotate: 'warn', deny: 'bad' } as const;
const EFFECTS: Record<FiredRule['effect'], Span> = {
  denies: toned('bad', 'denies'),
  rotates: toned('warn', 'rotates'),
  allows: toned('good', 'allows'),
  observed: toned('quiet', 'let pass, and on record as observed'),
  overruled: toned('quiet', 'fired, and another rule decided'),
};

/** `subject`: what is explained, such as the id of a decision. */
export function explanationBlocks(explanation: Explanation, subject: string, told: readonly Line[]): Block[] {
  const { decision, fired, silent, untraced, why_not: whyNot, between, policy } = explanation;
  return [
    { heading: `Why ${subject}`, level: 1 },
    {
      text: [
        toned(TONES[decision.outcome], decision.outcome),
        ', as ',
        code(policy.name),
        ` (revision ${policy.revision}) decides`,
      ],
    },
    ...(told.length > 0 ? [{ list: told }] : []),
    { heading: fired.length === 0 ? 'No rule fired' : 'Rules that fired', level: 2 },
    ...fired.flatMap(firedBlocks),
    ...(decision.obligations.length > 0
      ? [
          { heading: 'What the decision orders', level: 2 } as const,
          { list: decision.obligations.map((each): Line => code(canonicalJson(each))) },
        ]
      : []),
    { heading: 'Why not', level: 2 },
    {
      list: whyNot.map(
        ({ outcome, because }): Line => [toned(TONES[outcome as keyof typeof TONES], outcome), `: ${because}`],
      ),
    },
    ...(between ? betweenBlocks(between) : []),
    ...silentBlocks(silent, untraced),
  ];
}

function firedBlocks({ code: name, title, controls, params, effect, file, line, settings }: FiredRule): Block[] {
  const place = file === undefined ? '' : `  ${file}:${line}`;
  return [
    { text: [code(name), ' ', EFFECTS[effect], toned('quiet', place)] },
    {
      list: [
        title,
        ...(controls.length > 0 ? [`controls: ${controls.join(', ')}`] : []),
        ...params
          .filter((each) => Object.keys(each).length > 0)
          .map((each): Line => ['parameters: ', code(canonicalJson(each))]),
        ...settings.map((setting): Line => ['setting: ', ...standingOf(setting)]),
      ],
    },
  ];
}

const standingOf = ({ path, value, place }: Standing): Span[] => [
  code(`${path.join('.')} = ${canonicalJson(value)}`),
  toned('quiet', place ? `  ${shown(place.file)}:${place.line}` : '  the shipped default'),
];

function betweenBlocks({ single, together, tried }: Between): Block[] {
  const heading: Block = { heading: 'What stands between this denial and an allow', level: 2 };
  const line = ({ kind, path, from, to, place }: Between['together'][number]): Span[] => [
    `${kind} `,
    code(`${kind === 'fact' ? 'input.' : ''}${path}`),
    ': ',
    code(wordOf(from)),
    ' → ',
    code(wordOf(to)),
    ...(place ? [toned('quiet', `  ${shown(place.file)}:${place.line}`)] : []),
  ];
  if (single.length > 0)
    return [
      heading,
      { list: single.map((one): Line => [...line(one), ' gives ', toned(TONES[one.outcome], one.outcome)]) },
      { text: toned('quiet', `each found by deciding again; ${counted(tried, 'change')} tried`) },
    ];
  if (together.length > 0)
    return [
      heading,
      { text: 'No single change, but these together:' },
      { list: together.map((one): Line => line(one)) },
    ];
  return [
    heading,
    {
      text: `Nothing that was tried lets the call pass (${counted(tried, 'change')}): more than one thing is in the way, or a rule asks for what the input does not have.`,
    },
  ];
}

const wordOf = (value: unknown): string => (value === undefined ? 'not there' : canonicalJson(value));

function silentBlocks(silent: readonly SilentRule[] | undefined, untraced: string | undefined): Block[] {
  const heading: Block = { heading: 'Rules that did not fire', level: 2 };
  if (!silent) return [heading, { text: `The condition that failed is not known: ${untraced}.` }];
  const rows = silent.map(({ code: name, condition, file, line }): Line[] => [
    code(name),
    condition ? code(condition.text) : toned('quiet', 'was not asked'),
    condition ? condition.values : '',
    toned('quiet', condition ? `${condition.file}:${condition.line}` : `${file}:${line}`),
  ]);
  return [heading, { table: { head: ['rule', 'first condition that failed', 'with these values', ''], rows } }];
}
