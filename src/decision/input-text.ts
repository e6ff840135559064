// The decision input as text: what the policy is asked with, and what the decision log has of it, made once.
import { pointerOf } from '../formats/json.ts';
import { JsonText } from '../formats/json-text.ts';
import type { DecisionInput } from './schema.ts';

/**
 * That a field stands in the decision log: `logged` as it is. `listed`: of this table of names the record has what the
 * tool's `audit` list names, and `erased` of the record names the rest.
 */
type Treatment<Path extends string> = Path extends '.tool.arguments' ? 'listed' : 'logged';

/**
 * A list or a table of free names has one word; an object has one for each of its fields. A field of the contract without
 * one does not compile: so no new field reaches the log unasked, and none is forgotten, which would make the record
 * undecidable for whoever replays it. One that must not be logged does not compile either, until `inputText` leaves it out.
 */
type Treatments<T, Path extends string = ''> = {
  readonly [K in keyof T & string]-?: NonNullable<T[K]> extends readonly unknown[]
    ? Treatment<`${Path}.${K}`>
    : NonNullable<T[K]> extends object
      ? string extends keyof NonNullable<T[K]>
        ? Treatment<`${Path}.${K}`>
        : Treatments<NonNullable<T[K]>, `${Path}.${K}`>
      : Treatment<`${Path}.${K}`>;
};

const PLACE = { ip: 'logged', network: 'logged' } as const;

/** The word on each field. Only the compiler reads it: whoever adds a field is led here. */
export const ON_RECORD: Treatments<DecisionInput> = {
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
  freeze: 'logged',
};

/** The input as JSON.stringify writes it, and as it may stand in the log. */
export interface InputText {
  readonly text: string;
  readonly logged: JsonText;
  /** JSON pointers (RFC 6901) of what was left out of `logged`, below the record. */
  readonly erased: string[];
  /** The same of what pseudonyms stand for in it. */
  readonly masked: string[];
}

/** Puts pseudonyms into an input, and answers the JSON pointers to them. */
export type Masking = (input: DecisionInput) => { input: DecisionInput; masked: string[] };

/**
 * `audited`: names of the arguments that may stand in the log, from the tool's `audit` list. `of`: the client that the input
 * was built from, by which the part that is the same in all of its calls is remembered.
 */
export function inputText(input: DecisionInput, audited: readonly string[], of?: object, masking?: Masking): InputText {
  const whole = textOf(input, audited, of);
  if (!masking) return whole;
  const { input: hidden, masked } = masking(input);
  return masked.length === 0 ? whole : { ...textOf(hidden, audited, undefined), text: whole.text, masked };
}

function textOf(input: DecisionInput, audited: readonly string[], of: object | undefined): InputText {
  const { version, time, client, tool, session, usage, replay, freeze } = input;
  const { name, backend, effect, arguments: args } = tool;
  const when = JSON.stringify({ version, time }).slice(0, -1);
  const before = `${when},"client":${clientText(client, of)},"tool":${JSON.stringify({ name, backend, effect }).slice(0, -1)}`;
  const after = JSON.stringify({ session, usage, replay, freeze }).slice(1);
  const around = (of: object) => `${before},"arguments":${JSON.stringify(of)}},${after}`;
  const text = around(args);
  const left = Object.keys(args).filter((each) => !audited.includes(each));
  if (left.length === 0) return { text, logged: new JsonText(text), erased: [], masked: [] };
  const kept = Object.entries(args).filter(([each]) => audited.includes(each));
  return {
    text,
    logged: new JsonText(around(Object.fromEntries(kept))),
    erased: left.map((each) => `/input/tool/arguments${pointerOf([each])}`),
    masked: [],
  };
}

/** What a client is, as text without its end, and the place that it was written for. */
interface Standing {
  ip: string;
  network: string;
  userAgent: string;
  text: string;
}

const standing = new WeakMap<object, Standing>();

/** Only `auth`, which stands last, has ages that differ from call to call. */
function clientText(client: DecisionInput['client'], of: object | undefined): string {
  const { auth, ip, network, user_agent: userAgent } = client;
  let known = of && standing.get(of);
  if (!known || known.ip !== ip || known.network !== network || known.userAgent !== userAgent) {
    known = { ip, network, userAgent, text: JSON.stringify({ ...client, auth: undefined }).slice(0, -1) };
    if (of) standing.set(of, known);
  }
  return `${known.text},"auth":${JSON.stringify(auth)}}`;
}
