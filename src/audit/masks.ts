// What the site wants pseudonyms for in all records, whatever call they are about: who it was, from where, with which program.
import type { Masking } from '../decision/input-text.ts';
import type { DecisionInput } from '../decision/schema.ts';
import type { Pseudonyms } from './pseudonyms.ts';
import type { EventRecord } from './records.ts';

/** What can be written as a pseudonym. `address`: addresses and networks. */
export type Maskable = 'subject' | 'address' | 'user_agent';

/** From where a call comes, and whose it is. */
interface Scope {
  readonly client: { readonly subject: string };
  readonly ip: string;
  readonly network: string;
  readonly userAgent: string;
}

export interface Masks {
  readonly pseudonyms: Pseudonyms;
  subject(text: string): string;
  address(text: string): string;
  /** What may stand nowhere in the records of a call from there. */
  hidden(scope: Scope): readonly string[];
  /** Whether a text is an address or a network, which may be another one than that of the call. */
  looksHidden(text: string): boolean;
  /** undefined: an input is on record as it is. */
  readonly masking: Masking | undefined;
  /** A selector of sessions or of a freeze. */
  selector<T extends object>(selector: T): T;
  /** The fields of an event or alert. */
  event<T extends Partial<EventRecord>>(fields: T): T;
}

export function createMasks(wanted: readonly Maskable[], pseudonyms: Pseudonyms): Masks {
  const as = (what: Maskable) => (wanted.includes(what) ? (text: string) => pseudonyms.of(text) : undefined);
  const ways: Ways = { subject: as('subject'), address: as('address'), agent: as('user_agent') };
  const { subject = same, address = same } = ways;
  return {
    pseudonyms,
    subject,
    address,
    hidden: ({ client, ip, network, userAgent }) => [
      ...(ways.subject ? [client.subject] : []),
      ...(ways.address ? [ip, network] : []),
      ...(ways.agent ? [userAgent] : []),
    ],
    looksHidden: (text) => ways.address !== undefined && ADDRESS.test(text),
    masking: wanted.length === 0 ? undefined : (input) => masked(input, ways),
    selector: (selector) =>
      'subject' in selector ? { ...selector, subject: subject(String(selector.subject)) } : selector,
    event(fields) {
      if (wanted.length === 0) return fields;
      const { requested_by: by, client } = fields;
      const known = typeof client === 'object' && client !== null && 'subject' in client ? client : undefined;
      return {
        ...fields,
        ...(typeof by === 'string' && by !== '' && { requested_by: address(by) }),
        ...(known && { client: { ...known, subject: subject(known.subject) } }),
      };
    },
  };
}

const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f.]*(?::[0-9a-f.]*){2,})(?:\/\d{1,3})?$/i;

const same = (text: string): string => text;

/** How each is written; undefined: as it is. */
interface Ways {
  subject: ((text: string) => string) | undefined;
  address: ((text: string) => string) | undefined;
  agent: ((text: string) => string) | undefined;
}

/** The input with pseudonyms, and where they stand. */
function masked(input: DecisionInput, { subject = same, address, agent }: Ways) {
  const at: string[] = [];
  const note = (...pointers: string[]): void => void at.push(...pointers.map((pointer) => `/input/${pointer}`));
  const place = <T extends { ip: string; network: string } | null>(of: T, pointer: string): T => {
    if (!of || !address) return of;
    note(`${pointer}/ip`, `${pointer}/network`);
    return { ...of, ip: address(of.ip), network: address(of.network) };
  };
  const { session, usage } = input;
  const client = { ...place(input.client, 'client'), subject: subject(input.client.subject) };
  if (subject !== same) note('client/subject');
  if (agent) {
    client.user_agent = agent(client.user_agent);
    note('client/user_agent');
  }
  const bound = session && { ...session.bound, subject: subject(session.bound.subject) };
  if (bound) {
    if (subject !== same) note('session/bound/subject');
    bound.ipv4 = place(bound.ipv4, 'session/bound/ipv4');
    bound.ipv6 = place(bound.ipv6, 'session/bound/ipv6');
    if (address && bound.networks) {
      bound.networks = bound.networks.map(address);
      note('session/bound/networks');
    }
  }
  const meant = input.freeze?.some(({ scope }) => scope === 'subject') && subject !== same;
  if (meant) note('freeze');
  const freeze = meant
    ? input.freeze?.map((each) => (each.scope === 'subject' ? { ...each, name: subject(each.name) } : each))
    : input.freeze;
  const networks = usage.networks.map((each) => ({
    ...{ ...each, network: (address ?? same)(each.network) },
    ...(each.returned_from !== undefined && { returned_from: (address ?? same)(each.returned_from) }),
  }));
  if (address) note('usage/networks');
  return {
    input: {
      ...{ ...input, client, usage: { ...usage, networks } },
      ...{ session: session && bound && { ...session, bound }, ...(freeze && { freeze }) },
    },
    masked: at,
  };
}
