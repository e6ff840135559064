// Asks a compiled policy who may call what: each role, and no role, about each tool. Where the answer to the ordinary call turns on
// a scope, a proof of possession of a key or the time, that is found by asking again with it.
import type { Evaluator } from '../../decision/evaluator.ts';
import type { PolicyDecision } from '../../decision/schema.ts';
import type { Askable } from '../versions/load.ts';
import { evaluatorOf } from '../versions/load.ts';
import { type MatrixTool, ordinaryCalls, type Particular, WORKING_HOUR } from './ordinary.ts';
import { hoursWhen } from './times.ts';

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

/** The roles that a policy knows of. */
export function rolesOf({ settings }: Pick<Askable, 'settings'>, others: readonly string[] = []): string[] {
  const { access, roles = {} } = settings;
  const masked = Object.values(access.masks).flatMap(({ except_roles }) => except_roles);
  const all = [
    Object.keys(access.roles),
    Object.keys(roles),
    Object.keys(access.networks ?? {}),
    masked,
    others,
  ].flat();
  return ['', ...new Set(all.filter((role) => role !== ''))].sort();
}

/** `onTool` is told of each tool that is done. */
export function askMatrix(
  policy: Askable,
  tools: readonly MatrixTool[],
  roles: readonly string[],
  onTool: (done: number) => void = () => {},
): AccessMatrix {
  const asking = createAsking(policy);
  const sorted = [...tools].sort((a, b) => (a.name < b.name ? -1 : 1));
  const cells = new Map(
    sorted.map((tool, i) => {
      const row = new Map(roles.map((role) => [role, cellOf(asking, { role: role === '' ? undefined : role, tool })]));
      onTool(i + 1);
      return [tool.name, row];
    }),
  );
  return { tools: sorted, roles, cells };
}

interface Asking {
  decide(particular: Particular): PolicyDecision;
  /** Whether the policy may look at the time, and at the key of a client. */
  readsTime: boolean;
  readsKey: boolean;
  zones: readonly string[];
}

function createAsking(policy: Askable): Asking {
  const evaluator: Evaluator = evaluatorOf(policy);
  const input = ordinaryCalls(policy.settings);
  const { input: read } = policy.reads;
  const reads = (path: string) =>
    read === undefined ||
    read.some((each) => each === '' || each === path || each.startsWith(`${path}.`) || path.startsWith(`${each}.`));
  return {
    decide(particular) {
      const evaluation = evaluator.evaluate(input(particular));
      return evaluation.ok
        ? evaluation.decision
        : { outcome: 'deny', reasons: [{ code: evaluation.code, params: {} }], obligations: [], observed: [] };
    },
    readsTime: reads('time'),
    readsKey: reads('client.auth'),
    zones: policy.settings.zones ?? [],
  };
}

function cellOf(asking: Asking, particular: Particular): Cell {
  const plain = asking.decide(particular);
  const found =
    plain.outcome === 'deny' ? reached(asking, particular, plain) : { decision: plain, particular, needs: [] };
  const { decision, needs } = found;
  const isDenied = decision.outcome === 'deny';
  const hours = asking.readsTime
    ? hoursWhen((at) => asking.decide({ ...found.particular, at }).outcome !== 'deny', asking.zones)
    : undefined;
  // Denied at the hour that was asked about, and let pass at others.
  const later = hours !== undefined && isDenied ? asking.decide({ ...found.particular, at: hours.some }) : decision;
  return {
    outcome: later.outcome,
    needs: later.outcome === 'deny' ? [] : [...needs, ...(hours ? [hours.words] : [])],
    trims: later.outcome === 'deny' ? [] : trimsOf(later),
    reasons: later.outcome === 'deny' ? [...new Set(later.reasons.map(({ code }) => code))].sort() : [],
  };
}

interface Found {
  decision: PolicyDecision;
  particular: Particular;
  needs: string[];
}

/** What lets a denied call pass: the scopes that the decision itself asks for, a proven key, or both. */
function reached(asking: Asking, particular: Particular, denied: PolicyDecision): Found {
  const scopes: string[] = [];
  let decision = denied;
  for (const proof of asking.readsKey ? [false, true] : [false]) {
    decision = proof ? asking.decide({ ...particular, scopes, proof }) : decision;
    // A decision may ask for a further scope once it has one.
    for (let tries = 0; tries < 5 && decision.outcome === 'deny'; tries++) {
      const more = decision.obligations.flatMap((one) =>
        one.type === 'require_scope' && !scopes.includes(one.scope) ? [one.scope] : [],
      );
      if (more.length === 0) break;
      scopes.push(...more);
      decision = asking.decide({ ...particular, scopes, proof });
    }
    if (decision.outcome !== 'deny') {
      const needs = [...scopes.map((scope) => `scope ${scope}`), ...(proof ? ['a proven key'] : [])];
      return { decision, particular: { ...particular, scopes, proof }, needs };
    }
  }
  // It may be the hour that denies, and then these are needed as well.
  const needs = scopes.map((scope) => `scope ${scope}`);
  return {
    decision: scopes.length > 0 ? decision : denied,
    particular: { ...particular, scopes, at: WORKING_HOUR },
    needs,
  };
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
