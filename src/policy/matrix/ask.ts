// Asks a compiled policy who may call what: each role, and no role, about each tool. Where the answer to the ordinary call turns on
// a scope, a proof of possession of a key or the time, that is found by asking again with it.
import type { Evaluator } from '../../decision/evaluator.ts';
import type { PolicyDecision } from '../../decision/schema.ts';
import type { LoadedSettings } from '../../decision/settings.ts';
import { comparisonsOf } from '../rego/conditions.ts';
import type { Module } from '../rego/modules.ts';
import type { Askable } from '../versions/ask.ts';
import { evaluatorOf } from '../versions/ask.ts';
import { alikeness } from './alike.ts';
import { type MatrixTool, ordinaryCalls, type Particular } from './ordinary.ts';
import { atSlot, type Times, timesInWords, timesOf } from './times.ts';

/** What a client of one role gets from one tool. */
export interface Cell {
  outcome: 'allow' | 'rotate' | 'deny';
  /** What it takes besides the role, such as "scope stock:write", "a proven key", "monday to friday 8–17 UTC". */
  needs: readonly string[];
  /** What is blanked in the result, and lists that are cut, such as "without /price". */
  trims: readonly string[];
  /** Codes of a denial. */
  reasons: readonly string[];
}

export interface AccessMatrix {
  tools: readonly MatrixTool[];
  /** Sorted; "" is a client without a role. */
  roles: readonly string[];
  /** By tool, by role. */
  cells: ReadonlyMap<string, ReadonlyMap<string, Cell>>;
}

/** What is needed to ask for a matrix: the policy, and where they can be read, its rules. */
export interface Asked extends Askable {
  modules?: readonly Module[] | undefined;
}

/** The roles that a policy knows of: in settings, and those that a rule compares with. */
export function rolesOf(
  { settings, modules = [] }: Pick<Asked, 'settings' | 'modules'>,
  others: readonly string[] = [],
): string[] {
  const { access, roles = {} } = settings;
  const masked = Object.values(access.masks).flatMap(({ except_roles }) => except_roles);
  const compared = modules.flatMap((module) =>
    module.rules.flatMap((rule) =>
      comparisonsOf(module, rule).flatMap(({ path, literals }) =>
        path.slice(0, 3).join('.') === 'input.client.roles' ? literals.map(({ value }) => String(value)) : [],
      ),
    ),
  );
  const all = [
    Object.keys(access.roles),
    Object.keys(roles),
    Object.keys(access.networks ?? {}),
    masked,
    compared,
    others,
  ];
  return ['', ...new Set(all.flat().filter((role) => role !== ''))].sort();
}

/** Pairs of a role and a tool. */
const MANY = 500;

/** `onTool` is told of each tool that is done. */
export function askMatrix(
  policy: Asked,
  tools: readonly MatrixTool[],
  roles: readonly string[],
  onTool: (done: number) => void = () => {},
): AccessMatrix {
  const asking = createAsking(policy, tools.length * roles.length > MANY);
  const alike = alikeness(policy.settings, policy.modules);
  const sorted = [...tools].sort((a, b) => (a.name < b.name ? -1 : 1));
  const rows = new Map<string, ReadonlyMap<string, Cell>>();
  const cells = new Map(
    sorted.map((tool, i) => {
      const kind = alike(tool);
      const row =
        rows.get(kind) ?? new Map(roles.map((role) => [role, cellOf(asking, { role: role || undefined, tool })]));
      rows.set(kind, row);
      onTool(i + 1);
      return [tool.name, row];
    }),
  );
  return { tools: sorted, roles, cells };
}

interface Asking {
  decide(particular: Particular): PolicyDecision;
  /** Proofs of possession that are tried: none first. */
  proofs: readonly Particular['proof'][];
  times: Times | undefined;
  networks: LoadedSettings['access']['networks'];
}

function createAsking(policy: Asked, many: boolean): Asking {
  const evaluator: Evaluator = evaluatorOf(policy);
  const input = ordinaryCalls(policy.settings);
  const { input: read } = policy.reads;
  const readsKey =
    read === undefined ||
    read.some((each) => ['', 'client', 'client.auth'].includes(each) || each.startsWith('client.auth.'));
  return {
    decide(particular) {
      const evaluation = evaluator.evaluate(input(particular));
      return evaluation.ok
        ? evaluation.decision
        : { outcome: 'deny', reasons: [{ code: evaluation.code, params: {} }], obligations: [], observed: [] };
    },
    proofs: readsKey ? [undefined, 'dpop', 'mtls'] : [undefined],
    times: timesOf(policy.settings, policy.modules, many),
    networks: policy.settings.access.networks,
  };
}

const PROOF = { dpop: 'a proven key', mtls: 'a certificate' };

/** What lets the call pass that takes least: nothing, else scopes, else a proof; at all times, else at some. */
function cellOf(asking: Asking, particular: Particular): Cell {
  let denied: PolicyDecision | undefined;
  for (const proof of asking.proofs) {
    const found = passing(asking, { ...particular, ...(proof && { proof }) });
    denied ??= found.denied;
    const { decision } = found;
    if (!decision) continue;
    const kept = particular.role === undefined ? undefined : asking.networks?.[particular.role];
    const needs = [
      ...found.needs,
      ...(proof ? [PROOF[proof]] : []),
      ...(kept ? [`a call from ${kept.join(' or ')}`] : []),
    ];
    return { outcome: decision.outcome as Cell['outcome'], needs, trims: trimsOf(decision), reasons: [] };
  }
  const reasons = [...new Set((denied?.reasons ?? []).map(({ code }) => code))].sort();
  return { outcome: 'deny', needs: [], trims: [], reasons };
}

interface Passing {
  /** A decision that lets it pass; undefined where none does. */
  decision: PolicyDecision | undefined;
  denied: PolicyDecision | undefined;
  needs: string[];
}

/** With which scopes and at which times the call passes. */
function passing({ decide, times }: Asking, particular: Particular): Passing {
  if (!times) {
    const { decision, scopes } = withScopes(decide, particular);
    return decision.outcome === 'deny'
      ? { decision: undefined, denied: decision, needs: [] }
      : { decision, denied: undefined, needs: scopeWords(scopes) };
  }
  const bySlot = new Map(times.slots.map((slot) => [slot, withScopes(decide, { ...particular, at: atSlot(slot) })]));
  const passed = [...bySlot.values()].filter(({ decision }) => decision.outcome !== 'deny');
  const [first] = passed;
  if (!first) return { decision: undefined, denied: [...bySlot.values()][0]?.decision, needs: [] };
  const kinds = [...new Set(passed.map(({ scopes }) => scopeWords(scopes).join(' and ')))].sort();
  const words = kinds.map((kind) => {
    const when = timesInWords(times, (slot) => {
      const one = bySlot.get(slot);
      return one !== undefined && one.decision.outcome !== 'deny' && scopeWords(one.scopes).join(' and ') === kind;
    });
    return [kind, when].filter((part) => part !== undefined && part !== '').join(' and ');
  });
  return {
    decision: first.decision,
    denied: undefined,
    needs: words.every((word) => word === '') ? [] : [words.join(' or ')],
  };
}

const scopeWords = (scopes: readonly string[]): string[] => scopes.map((scope) => `scope ${scope}`);

/** A decision asks for the scopes that it lacks, and may ask for a further one once it has one. */
function withScopes(decide: Asking['decide'], particular: Particular): { decision: PolicyDecision; scopes: string[] } {
  const scopes: string[] = [];
  for (;;) {
    const decision = decide({ ...particular, scopes });
    const more = decision.obligations.flatMap((one) =>
      one.type === 'require_scope' && !scopes.includes(one.scope) ? [one.scope] : [],
    );
    if (decision.outcome !== 'deny' || more.length === 0 || scopes.length > 10) return { decision, scopes };
    scopes.push(...more);
  }
}

function trimsOf({ obligations }: PolicyDecision): string[] {
  const masks = obligations.flatMap((one) => (one.type === 'mask' ? one.pointers : []));
  const limits = obligations.flatMap((one) =>
    one.type === 'limit_result' ? [`${one.items} of ${one.pointer || '/'}`] : [],
  );
  return [
    ...[...new Set(masks)].sort().map((pointer) => `without ${pointer}`),
    ...[...new Set(limits)].sort().map((limit) => `first ${limit}`),
  ];
}
