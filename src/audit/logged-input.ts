// The decision input as it may stand in the decision log. Each field has a word on whether it is logged; a field of
// the contract without one does not compile. So no new field reaches the log unasked, and none is forgotten, which
// would make the record undecidable for whoever replays it.
import type { DecisionInput } from '../decision/schema.ts';

/**
 * `logged`: the record has it as it is. `listed`: of this table of names the record has what the tool's `audit`
 * list names. `erased`: the record never has it. What is left out is named in `erased` of the record.
 */
type Treatment = 'logged' | 'listed' | 'erased';

/** A list or a table of free names has one word; an object has one for each of its fields. */
type Treatments<T> = {
  readonly [K in keyof T]-?: NonNullable<T[K]> extends readonly unknown[]
    ? Treatment
    : NonNullable<T[K]> extends object
      ? string extends keyof NonNullable<T[K]>
        ? Treatment
        : Treatments<NonNullable<T[K]>>
      : Treatment;
};

const PLACE = { ip: 'logged', network: 'logged' } as const;

const INPUT: Treatments<DecisionInput> = {
  version: 'logged',
  time: { rfc3339: 'logged', unix_ms: 'logged', weekday: 'logged', hour: 'logged', zones: 'logged' },
  client: {
    id: 'logged',
    subject: 'logged',
    issuer: 'logged',
    roles: 'logged',
    scopes: 'logged',
    ip: 'logged',
    network: 'logged',
    user_agent: 'logged',
    claims: 'logged',
    auth: { method: 'logged', age_seconds: 'logged', expires_in_seconds: 'logged', key: 'logged' },
  },
  tool: { name: 'logged', backend: 'logged', effect: 'logged', arguments: 'listed' },
  session: {
    id: 'logged',
    generation: 'logged',
    token_age_seconds: 'logged',
    age_seconds: 'logged',
    idle_seconds: 'logged',
    token_uses: 'logged',
    bound: { client_id: 'logged', subject: 'logged', key: 'logged', ipv4: PLACE, ipv6: PLACE, networks: 'logged' },
  },
  usage: {
    calls_1m: 'logged',
    calls_1h: 'logged',
    denials_1h: 'logged',
    in_flight: 'logged',
    seconds_since_last_call: 'logged',
    networks: 'logged',
    networks_dropped_seconds: 'logged',
    tool: { calls_90d: 'logged', last_seconds: 'logged' },
    forgotten: 'logged',
  },
  replay: {
    source: 'logged',
    seen: 'logged',
    first_seen_seconds: 'logged',
    same_network: 'logged',
    history: 'logged',
    handle: 'logged',
    rpc_id: 'logged',
  },
};

export interface LoggedInput {
  input: object;
  /** JSON pointers (RFC 6901) of what was left out of `input`. */
  erased: string[];
}

/** `audited`: names of the arguments that may stand in the log, from the tool's `audit` list. */
export function loggedInput(input: DecisionInput, audited: readonly string[]): LoggedInput {
  const erased: string[] = [];
  return { input: named(input, INPUT, '', audited, erased) as object, erased };
}

interface Table {
  readonly [field: string]: Treatment | Table;
}

function named(value: object, words: Table, at: string, audited: readonly string[], erased: string[]): object {
  const kept: Record<string, unknown> = {};
  for (const field in words) {
    const word = words[field] as Treatment | Table;
    const found = (value as Record<string, unknown>)[field];
    if (word === 'logged') kept[field] = found;
    else if (word === 'erased') erased.push(`${at}/${field}`);
    else if (word === 'listed') kept[field] = listed(found as object, `${at}/${field}`, audited, erased);
    else kept[field] = isTable(found) ? named(found, word, `${at}/${field}`, audited, erased) : found;
  }
  return kept;
}

/** A section that is null stays null. */
const isTable = (value: unknown): value is object => typeof value === 'object' && value !== null;

function listed(table: object, at: string, audited: readonly string[], erased: string[]): object {
  return Object.fromEntries(
    Object.entries(table).filter(([name]) => {
      if (audited.includes(name)) return true;
      erased.push(`${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
      return false;
    }),
  );
}
