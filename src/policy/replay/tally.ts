// Counts what decisions became. A tally of a part of a log can be given from a thread and added to that of the part before.
import type { DecisionInput } from '../../decision/schema.ts';
import type { Difference } from './compare.ts';

/** Decisions that changed in one way. Counts by name are bounded: "…" stands for the rest. */
export interface Group {
  count: number;
  /** Ids of the first few. */
  samples: string[];
  /** By what exactly changed: codes, or the detail of an obligation. */
  by_detail: Record<string, number>;
  by_tool: Record<string, number>;
  by_client: Record<string, number>;
  /** A client with two roles counts in both; "(none)" has none. */
  by_role: Record<string, number>;
}

export interface Tally {
  lines: number;
  /** Decision records of a policy. */
  decisions: number;
  /** Of these, decided again and compared, and what of them is the same in everything. */
  compared: number;
  same: number;
  /** Records of calls that no policy decided: the connector refused them by itself. */
  not_decided: number;
  /** Lines that are no record, or a decision that makes no sense. */
  malformed: number;
  /** Decisions whose record no longer holds what the policy may read; `by_detail` names it. */
  undecidable: Group;
  /** Every pair of outcomes, also of decisions that are the same: "allow->deny". */
  matrix: Record<string, number>;
  /** By what changed: "allow->deny", "reasons", "observed", "params", "mask-lost" and the like. */
  changes: Record<string, Group>;
  /** Not decided as the very same policy had decided: a record or a policy is not what it says it is. */
  faults: Group;
  /** Inputs for which the policy gave no usable decision, by the code of the connector. */
  failed: Group;
  /** Decisions by the revision of the policy that made them. */
  policies: Record<string, number>;
  /** Times of the first and the last decision (RFC 3339); empty where there is none. */
  from: string;
  to: string;
}

const MOST_SAMPLES = 5;
/** Names in one table. */
const MOST_NAMES = 2000;
export const REST = '…';

export const newGroup = (): Group => ({
  count: 0,
  samples: [],
  by_detail: {},
  by_tool: {},
  by_client: {},
  by_role: {},
});

export const newTally = (): Tally => ({
  ...{ lines: 0, decisions: 0, compared: 0, same: 0, not_decided: 0, malformed: 0 },
  ...{ undecidable: newGroup(), matrix: {}, changes: {}, faults: newGroup(), failed: newGroup() },
  ...{ policies: {}, from: '', to: '' },
});

/** Notes one decision. `detail`: what exactly changed. */
export function note(group: Group, id: string, input: DecisionInput, detail: string): void {
  group.count += 1;
  if (group.samples.length < MOST_SAMPLES) group.samples.push(id);
  add(group.by_detail, detail, 1);
  add(group.by_tool, input.tool.name, 1);
  add(group.by_client, input.client.id, 1);
  const { roles } = input.client;
  for (const role of Array.isArray(roles) && roles.length > 0 ? roles : ['(none)']) add(group.by_role, String(role), 1);
}

/** Notes how one decision became another. */
export function noteDifference(
  tally: Tally,
  id: string,
  input: DecisionInput,
  { transition, changes }: Difference,
): void {
  tally.compared += 1;
  add(tally.matrix, transition, 1);
  if (changes.length === 0) tally.same += 1;
  const noted = new Set<string>();
  for (const { kind, detail } of changes) {
    tally.changes[kind] ??= newGroup();
    // Two alerts that a decision lost are one decision that lost alerts.
    if (!noted.has(kind)) note(tally.changes[kind] as Group, id, input, detail);
    noted.add(kind);
  }
}

/** Adds to a table. Names come from logs, so "__proto__" may be one. */
export function add(table: Record<string, number>, name: string, count: number): void {
  const known = Object.hasOwn(table, name);
  const full = !known && Object.keys(table).length >= MOST_NAMES;
  const key = full ? REST : name;
  Object.defineProperty(table, key, {
    value: (Object.hasOwn(table, key) ? (table[key] as number) : 0) + count,
    ...{ enumerable: true, writable: true, configurable: true },
  });
}

/** Adds a tally to that of the parts before it. */
export function addTally(to: Tally, from: Tally): Tally {
  for (const key of ['lines', 'decisions', 'compared', 'same', 'not_decided', 'malformed'] as const)
    to[key] += from[key];
  for (const key of ['undecidable', 'faults', 'failed'] as const) addGroup(to[key], from[key]);
  for (const key of ['matrix', 'policies'] as const) addTable(to[key], from[key]);
  for (const [kind, group] of Object.entries(from.changes)) {
    to.changes[kind] ??= newGroup();
    addGroup(to.changes[kind] as Group, group);
  }
  if (from.from !== '' && (to.from === '' || from.from < to.from)) to.from = from.from;
  if (from.to > to.to) to.to = from.to;
  return to;
}

function addGroup(to: Group, from: Group): void {
  to.count += from.count;
  to.samples.push(...from.samples.slice(0, MOST_SAMPLES - to.samples.length));
  for (const key of ['by_detail', 'by_tool', 'by_client', 'by_role'] as const) addTable(to[key], from[key]);
}

function addTable(to: Record<string, number>, from: Record<string, number>): void {
  for (const [name, count] of Object.entries(from)) add(to, name, count);
}
