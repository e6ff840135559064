// What stands between a denial and an allow, found by trying: one setting or one fact is changed, and the call decided again.
// Nothing is concluded from the text of a rule; its text only says what is worth trying.
import { withMerged } from '../../decision/data/merge.ts';
import { createEvaluator } from '../../decision/evaluator.ts';
import { type DecisionInput, inputSchema, type PolicyDecision } from '../../decision/schema.ts';
import { type Settings, settingsSchema } from '../../decision/settings.ts';
import { canonicalJson, isObject, pointerOf, valueAt } from '../../formats/json.ts';
import { evaluatorOf } from '../versions/ask.ts';
import type { LoadedVersion } from '../versions/load.ts';
import type { Standing } from './where.ts';

/** One change after which the call would not be denied. */
export interface Nearest {
  kind: 'setting' | 'fact';
  /** Of a setting as data.yaml has it, of a fact below the input. */
  path: string;
  from: unknown;
  to: unknown;
  outcome: 'allow' | 'rotate';
  /** Where the setting stands; undefined for a fact, and for a shipped default. */
  place?: { file: string; line: number } | undefined;
}

/** What is found: single changes; failing these, changes that together let the call pass. */
export interface Between {
  single: Nearest[];
  together: Omit<Nearest, 'outcome'>[];
  tried: number;
}

/** What is worth changing: the settings and the facts that the rules read which denied, and values they compare with. */
export interface Leads {
  settings: readonly Standing[];
  /** Paths below the input. */
  facts: readonly string[];
  /** By the path of a fact, what rules compare it with. */
  compared: ReadonlyMap<string, readonly unknown[]>;
}

type Change = Pick<Nearest, 'kind' | 'path' | 'from' | 'to' | 'place'> & {
  tokens: readonly string[];
  /** What of the input goes with it: an address has a network. */
  also: readonly (readonly [path: readonly string[], value: unknown])[];
};

/** More is a search, and no explanation. */
const MOST_TRIED = 3000;

export function whatStandsBetween(
  version: LoadedVersion,
  input: DecisionInput,
  denied: PolicyDecision,
  leads: Leads,
): Between {
  const { merged: _merged, ...settings } = version.settings;
  const changes = [...settingChanges(input, denied, leads), ...factChanges(settings, input, denied, leads)].slice(
    0,
    MOST_TRIED,
  );
  const evaluator = evaluatorOf(version);
  const decide: Decide = (made) => {
    const [changedSettings, changedInput] = appliedTo(input, settings, made);
    // What no connector would give proves nothing.
    if (!inputSchema.safeParse(changedInput).success) return undefined;
    if (made.some(({ kind }) => kind === 'setting')) return decideWith(version, changedSettings, changedInput);
    const evaluation = evaluator.evaluate(changedInput);
    return evaluation.ok ? evaluation.decision : undefined;
  };
  const tried = changes.map((change): Tried => ({ change, decision: decide([change]) }));
  const single = tried.flatMap(({ change: { kind, path, from, to, place }, decision }): Nearest[] =>
    decision && decision.outcome !== 'deny' ? [{ kind, path, from, to, outcome: decision.outcome, place }] : [],
  );
  return {
    single: firstOfEach(single),
    together: (single.length > 0 ? [] : combined(decide, denied, tried)).map(({ kind, path, from, to, place }) => ({
      ...{ kind, path, from, to, place },
    })),
    tried: changes.length,
  };
}

function decideWith(version: LoadedVersion, settings: Settings, input: DecisionInput): PolicyDecision | undefined {
  if (!settingsSchema.safeParse(settings).success) return undefined;
  const evaluation = createEvaluator({
    module: version.module,
    data: { settings: withMerged(settings) },
    budgetMs: 10_000,
  }).evaluate(input);
  return evaluation.ok ? evaluation.decision : undefined;
}

/** Of several values of one setting or fact the first is told, which changes least; "allow" before "rotate". */
function firstOfEach(found: readonly Nearest[]): Nearest[] {
  const by = new Map<string, Nearest>();
  for (const one of found) {
    const key = `${one.kind} ${one.path}`;
    const known = by.get(key);
    if (!known || (known.outcome === 'rotate' && one.outcome === 'allow')) by.set(key, one);
  }
  return [...by.values()];
}

/** Combinations that are tried where no single change will do: of facts, and of those with a setting, each of which opens a policy. */
const MOST_PAIRS = { facts: 20_000, settings: 500 };

type Decide = (changes: readonly Change[]) => PolicyDecision | undefined;
interface Tried {
  change: Change;
  decision: PolicyDecision | undefined;
}

const codesOf = (decision: PolicyDecision | undefined): ReadonlySet<string> =>
  new Set(decision?.reasons.map(({ code }) => code));

/** Changes that together let the call pass: one for each reason, or else two. */
function combined(decide: Decide, denied: PolicyDecision, tried: readonly Tried[]): readonly Change[] {
  const before = [...codesOf(denied)];
  const taking = (code: string) => tried.find(({ decision }) => decision && !codesOf(decision).has(code))?.change;
  const oneEach = [...new Set(before.map(taking))];
  if (oneEach.every((change) => change !== undefined) && passes(decide(oneEach))) return oneEach;
  const better = tried.filter(({ decision }) => decision && before.some((code) => !codesOf(decision).has(code)));
  const left = { ...MOST_PAIRS };
  for (const { change: first } of better)
    for (const { change: second } of tried) {
      if (first.path === second.path && first.kind === second.kind) continue;
      const kind = first.kind === 'fact' && second.kind === 'fact' ? 'facts' : 'settings';
      if (left[kind]-- <= 0) continue;
      if (passes(decide([first, second]))) return [first, second];
    }
  return [];
}

const passes = (decision: PolicyDecision | undefined): boolean => decision !== undefined && decision.outcome !== 'deny';

/** Input and settings with changes made. */
function appliedTo(input: DecisionInput, settings: Settings, changes: readonly Change[]): [Settings, DecisionInput] {
  let [changedInput, changedSettings]: [unknown, unknown] = [input, settings];
  for (const { kind, tokens, to, also } of changes) {
    if (kind === 'setting') changedSettings = withValue(changedSettings, tokens, to);
    else
      for (const [path, value] of [[tokens, to] as const, ...also]) changedInput = withValue(changedInput, path, value);
  }
  return [changedSettings as Settings, changedInput as DecisionInput];
}

function settingChanges(input: DecisionInput, denied: PolicyDecision, leads: Leads): Change[] {
  const numbers = numbersIn(denied);
  return leads.settings.flatMap(({ path, value, place }) =>
    valuesFor(path, value, input, numbers).map(
      (to): Change => ({ kind: 'setting', path: shownPath(path), tokens: path, from: value, to, place, also: [] }),
    ),
  );
}

const numbersIn = ({ reasons }: PolicyDecision): number[] =>
  reasons.flatMap(({ params }) => Object.values(params).filter((value) => typeof value === 'number'));

/** With dots, or as a JSON pointer where a name has one. */
export const shownPath = (path: readonly string[]): string =>
  path.some((name) => name.includes('.') || name === '') ? pointerOf(path) : path.join('.');

/** Other values of a setting, those that change least first. */
function valuesFor(
  path: readonly string[],
  value: unknown,
  input: DecisionInput,
  numbers: readonly number[],
): unknown[] {
  const last = path.at(-1) ?? '';
  if (['allow', 'rotate', 'deny'].includes(String(value)))
    return ['rotate', 'allow'].filter((grade) => grade !== value);
  if (typeof value === 'number') {
    const near = numbers
      .filter((each) => each >= value)
      .flatMap((each) => [each, each + 1])
      .sort((a, b) => a - b);
    return [...new Set([...near, value * 2, value * 10, 0, 1])].filter(
      (each) => each !== value && Number.isSafeInteger(each),
    );
  }
  if (typeof value === 'boolean') return [!value];
  if (!Array.isArray(value)) return [];
  // Lists of tools, of networks, of scopes and of effects: with what this call has, and without it.
  const own = [last === 'tools' ? input.tool.name : input.client.network, input.tool.effect, ...value].map(String);
  const longer = own
    .slice(0, 2)
    .filter((item) => !value.includes(item))
    .map((item) => [...value, item]);
  return [...longer.slice(0, 1), ...value.map((_, i) => value.filter((_item, at) => at !== i)), []];
}

function factChanges(
  settings: Settings,
  input: DecisionInput,
  denied: PolicyDecision,
  { facts, compared }: Leads,
): Change[] {
  const numbers = numbersIn(denied);
  const changes = leaves(input, facts).flatMap(({ path, value }) =>
    othersOf(path, value, input, settings, compared.get(path.join('.')) ?? [], numbers).flatMap((to): Change[] => {
      if (canonicalJson(to) === canonicalJson(value)) return [];
      return [{ kind: 'fact', path: shownPath(path), tokens: path, from: value, to, also: [] }];
    }),
  );
  const reads = (path: string) => facts.some((each) => each === '' || path.startsWith(each) || each.startsWith(path));
  return [...changes, ...(reads('client.network') || reads('client.ip') ? placeChanges(settings, input) : [])];
}

/** Another place: an address goes with its network. */
function placeChanges({ access }: Settings, { client, session }: DecisionInput): Change[] {
  const bound = [session?.bound.ipv4?.network, session?.bound.ipv6?.network, ...(session?.bound.networks ?? [])];
  const allowed = client.roles.flatMap((role) => access.networks?.[role] ?? []);
  const networks = [...new Set([...bound, ...allowed])].filter((each) => each !== undefined && each !== client.network);
  return networks.map((network): Change => {
    const place = [session?.bound.ipv4, session?.bound.ipv6].find((each) => each?.network === network);
    const to = place?.ip ?? (network as string).split('/')[0];
    return {
      ...{ kind: 'fact', path: 'client.ip', tokens: ['client', 'ip'], from: client.ip, to },
      also: [[['client', 'network'], network]],
    };
  });
}

/** The values below the paths; lists are values. */
function leaves(input: DecisionInput, paths: readonly string[]): { path: string[]; value: unknown }[] {
  const found = new Map<string, { path: string[]; value: unknown }>();
  const visit = (value: unknown, path: string[]): void => {
    found.set(path.join('.'), { path, value });
    if (isObject(value)) for (const [name, inner] of Object.entries(value)) visit(inner, [...path, name]);
  };
  for (const each of paths) {
    const path = each === '' ? [] : each.split('.');
    visit(valueAt(input, path) ?? (path.length === 0 ? input : undefined), path);
  }
  return [...found.values()].filter(
    ({ path }) => path.length > 0 && NOT_TRIED.every((pattern) => !pattern.test(path.join('.'))),
  );
}

/** What names the call itself: another tool is another call. */
const NOT_TRIED = [
  /^version$/,
  /^tool$/,
  /^tool\.(name|backend|effect)$/,
  /^client$/,
  /^time$/,
  /^session$/,
  /^session\.(id|bound)$/,
  /^client\.auth$/,
  /^client\.(ip|network)$/,
  /^usage$/,
  /^replay$/,
];

function othersOf(
  path: readonly string[],
  value: unknown,
  input: DecisionInput,
  settings: Settings,
  literals: readonly unknown[],
  numbers: readonly number[],
): unknown[] {
  const name = path.join('.');
  const { client, session } = input;
  switch (name) {
    case 'client.roles':
      return [
        ...[...Object.keys(settings.access.roles), ...literals]
          .filter((role) => typeof role === 'string' && !client.roles.includes(role))
          .map((role) => [...client.roles, role]),
        ...client.roles.map((role) => client.roles.filter((each) => each !== role)),
      ];
    case 'client.scopes': {
      const wanted = [
        ...(settings.access.scopes[input.tool.name] ?? []),
        ...literals.filter((text) => typeof text === 'string'),
      ];
      return wanted.filter((scope) => !client.scopes.includes(String(scope))).map((scope) => [...client.scopes, scope]);
    }
    case 'usage.networks':
      return [input.usage.networks.filter(({ network }) => network === client.network)];
    case 'client.subject':
    case 'client.id':
      return session ? [name === 'client.id' ? session.bound.client_id : session.bound.subject] : [];
    case 'freeze':
      return [undefined];
    case 'client.auth.key':
      return ['dpop', 'mtls'].includes(client.auth.method) && session ? [session.bound.key] : [];
    case 'session.bound.ipv4':
    case 'session.bound.ipv6':
      return [{ ip: client.ip, network: client.network }, null];
    case 'time.hour':
      return Array.from({ length: 24 }, (_, hour) => hour);
    case 'time.weekday':
      return ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];
    case 'replay.source':
      return ['rpc_id', 'dpop_jti'];
  }
  if (/^time\.zones\.[^.]+\.hour$/.test(name)) return Array.from({ length: 24 }, (_, hour) => hour);
  if (/^time\.zones\.[^.]+\.weekday$/.test(name)) return ['monday', 'saturday', 'sunday', 'friday'];
  const twin = name.startsWith('session.bound.')
    ? valueAt(
        client,
        path.slice(2).map((part) => (part === 'client_id' ? 'id' : part)),
      )
    : undefined;
  if (twin !== undefined) return [twin];
  const same = literals.filter((literal) => typeof literal === typeof value || value === null || value === undefined);
  if (typeof value === 'boolean') return [!value];
  if (typeof value === 'number') {
    const near = [...numbers, ...same.filter((literal) => typeof literal === 'number')].flatMap((each) => [
      each,
      each - 1,
      each + 1,
    ]);
    return [...new Set([...near, 0])]
      .filter((each) => each >= 0)
      .sort((a, b) => Math.abs(a - value) - Math.abs(b - value));
  }
  return typeof value === 'string' || value === null || value === undefined
    ? [...same, ...(value === undefined ? [] : [null])]
    : [];
}

/** A copy with another value at a path; undefined takes it away. */
export function withValue(target: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value;
  const copy = { ...(isObject(target) ? target : {}) };
  const inner = withValue(Object.hasOwn(copy, name) ? copy[name] : undefined, rest, value);
  if (inner === undefined) delete copy[name];
  else Object.defineProperty(copy, name, { value: inner, enumerable: true, writable: true, configurable: true });
  return copy;
}
