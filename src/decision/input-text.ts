// The decision input as text: what the policy is asked with, and what the decision log has of it, made in one pass over
// one table. Each field has a word on whether it is logged; a field of the contract without one does not compile. So no
// new field reaches policy or log unasked, and none is forgotten, which would make the record undecidable for whoever
// replays it.
import { JsonText, jsonTextOf } from '../formats/json-text.ts';
import type { DecisionInput } from './schema.ts';

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

/** The input as JSON.stringify writes its fields, in the order of the table, and as it may stand in the log. */
export interface InputText {
  readonly text: string;
  readonly logged: JsonText;
  /** JSON pointers (RFC 6901) of what was left out of `logged`. */
  readonly erased: string[];
}

/** `audited`: names of the arguments that may stand in the log, from the tool's `audit` list. */
export function inputText(input: DecisionInput, audited: readonly string[]): InputText {
  const to = createTwin();
  const erased: string[] = [];
  writeTable(to, input, INPUT, '', audited, erased);
  const { text, logged } = to.end();
  return { text, logged: new JsonText(logged), erased };
}

interface Table {
  readonly [field: string]: Treatment | Table;
}

/** Two texts of which most is the same: it is written once, and where they part, both. */
interface Twin {
  same(text: string): void;
  part(text: string, logged: string): void;
  end(): { text: string; logged: string };
}

function createTwin(): Twin {
  let [text, logged, run] = ['', '', ''];
  return {
    same(more) {
      run += more;
    },
    part(one, other) {
      [text, logged, run] = [`${text}${run}${one}`, `${logged}${run}${other}`, ''];
    },
    // Nothing parted: the two are one text in memory, too.
    end: () =>
      text === logged ? { text: text + run, logged: text + run } : { text: text + run, logged: logged + run },
  };
}

function writeTable(
  to: Twin,
  value: object,
  words: Table,
  at: string,
  audited: readonly string[],
  erased: string[],
): void {
  let [separator, ofLogged] = ['{', '{'];
  for (const field in words) {
    const word = words[field] as Treatment | Table;
    const found = (value as Record<string, unknown>)[field];
    if (found === undefined) continue;
    if (word === 'erased') {
      erased.push(`${at}/${field}`);
      to.part(`${separator}"${field}":${jsonTextOf(found)}`, '');
      separator = ',';
      continue;
    }
    if (separator === ofLogged) to.same(`${separator}"${field}":`);
    else to.part(`${separator}"${field}":`, `${ofLogged}"${field}":`);
    [separator, ofLogged] = [',', ','];
    // A section that is null stays null.
    if (typeof found !== 'object' || found === null || word === 'logged') to.same(jsonTextOf(found) as string);
    else if (word === 'listed') writeListed(to, found, `${at}/${field}`, audited, erased);
    else writeTable(to, found, word, `${at}/${field}`, audited, erased);
  }
  if (separator === ofLogged) to.same(separator === '{' ? '{}' : '}');
  else to.part('}', '{}');
}

/** Of a table of free names the log has what is audited, and `erased` names the rest. */
function writeListed(to: Twin, table: object, at: string, audited: readonly string[], erased: string[]): void {
  const left = Object.keys(table).filter((name) => !audited.includes(name));
  if (left.length === 0) return to.same(JSON.stringify(table));
  for (const name of left) erased.push(`${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  const kept = Object.entries(table).filter(([name]) => audited.includes(name));
  to.part(JSON.stringify(table), JSON.stringify(Object.fromEntries(kept)));
}
