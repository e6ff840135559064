// A backend token made ready for use: its cookie jar, the headers and cookies that go with every request, and the
// secrets that must not come back in a result.
import type { BackendConfig } from '../../config/schema/backend.ts';
import { placeholders, replacePlaceholders } from '../../formats/template.ts';
import type { Account } from '../accounts.ts';
import { compose, templateOf } from '../answer/extract.ts';
import { type Spelling, secretsOf, spellings } from '../answer/scrub.ts';
import { createJar, type Jar } from '../http/jar.ts';
import { fillCookies, fillHeaders } from '../http/request.ts';
import type { Attached } from '../http/send.ts';
import { UnbuildableError, type Values } from '../http/values.ts';
import type { BackendToken, BackendTokenSecret, CallResult } from '../port.ts';

/** The CSRF tokens for a write. `values` has each by its name under `csrf.extract`. */
export interface CsrfTokens {
  values: Record<string, string>;
  /** Cookies that belong to the tokens and must be sent with them (`csrf.cookies`). */
  cookies: object[];
  /** Session cookies and values that the answer changed. The call that fetched the tokens goes on with them. */
  changed: object[];
  changedValues: BackendToken['values'] | undefined;
  /** Every spelling of the tokens and of these cookies, to be blanked in results. */
  secrets: readonly Spelling[];
}

/**
 * The tokens, or how the call ends without them. In that case the write itself has not been sent. `stray`: what an
 * answer that was no good has brought.
 */
export type Fetched =
  | { ok: true; tokens: CsrfTokens }
  | {
      ok: false;
      result: Exclude<CallResult, { kind: 'ok' }>;
      stray: BackendTokenSecret | undefined;
      /** The request may have reached the backend, and no answer came. */
      unanswered: boolean;
    };

/** A backend session as calls use it. Kept in memory only, for as long as its backend token is. */
export interface OpenSession {
  /** The cookies of the backend token. They never change: a call that gets a new cookie goes on with a copy. */
  readonly jar: Jar;
  readonly attached: Attached;
  readonly values: Values;
  /** Every spelling of the secrets that are blanked in results. */
  readonly secrets: () => readonly Spelling[];
  readonly token: BackendToken;
  readonly account: Account | undefined;
  /**
   * The CSRF tokens of this session, or the request for them that is under way. Calls share that one request, since
   * a second request would make the tokens of the first invalid at many backends.
   */
  csrf: Promise<Fetched> | undefined;
}

/** Credentials with these names also occur as ordinary data in results, so they are not blanked; all others are. */
const NAMES =
  /^(user|username|user_?name|user_?id|login|login_?name|account|client|e?mail|tenant|company|domain|realm)$/;

/**
 * Prepares a backend token for use. Throws an UnbuildableError when it lacks a value that the configuration puts
 * into a header or cookie, as a backend token does that was made under an older configuration.
 */
export function openSession(
  config: BackendConfig,
  backendToken: BackendToken,
  account: Account | undefined,
): OpenSession {
  const { session } = config;
  const values: Values = (name) =>
    name.startsWith('session.') ? backendToken.values[name.slice('session.'.length)] : undefined;
  return {
    jar: createJar(backendToken.cookies),
    attached: { headers: fillHeaders(session.headers, values), cookies: fillCookies(session.send_cookies, values) },
    values,
    secrets: () => spelt(config, backendToken, account),
    token: backendToken,
    account,
    csrf: undefined,
  };
}

/**
 * Goes on with other values of the session, of which the old ones stay secret. Answers false, and changes nothing, when one
 * of them cannot be sent.
 */
export function takeValues(
  config: BackendConfig,
  values: BackendToken['values'],
  turn: { session: OpenSession; secrets: Spelling[] },
): boolean {
  const { token, account, csrf, secrets } = turn.session;
  try {
    turn.session = { ...openSession(config, { ...token, values }, account), csrf };
    turn.secrets.push(...secrets());
    return true;
  } catch (thrown) {
    if (thrown instanceof UnbuildableError) return false;
    throw thrown;
  }
}

/** Most backend tokens whose spellings are kept. They take more memory than the rest of a session, and can be made again. */
const SPELT = 1000;
interface Spelt {
  /** By token, and no longer than it: what is forgotten when a session ends is forgotten here as well. */
  readonly tokens: WeakMap<BackendToken, { account: Account | undefined; all: readonly Spelling[] }>;
  /** The tokens in the order in which their spellings were made. */
  readonly made: WeakRef<BackendToken>[];
  /** Sessions of one account share what is a secret of the account. */
  readonly accounts: WeakMap<Account, readonly Spelling[]>;
}
const kept = new WeakMap<BackendConfig, Spelt>();

function spelt(config: BackendConfig, token: BackendToken, account: Account | undefined): readonly Spelling[] {
  const known = kept.get(config) ?? { tokens: new WeakMap(), made: [], accounts: new WeakMap() };
  kept.set(config, known);
  const before = known.tokens.get(token);
  if (before && before.account === account) return before.all;
  const own = [...secretsOf(token, config.session.public), ...partsOf(config, token, account)];
  const credentials = account && (known.accounts.get(account) ?? spellings(credentialsOf(config, account)));
  if (account && credentials) known.accounts.set(account, credentials);
  const all = [...spellings(own, { pieces: true }), ...(credentials ?? [])];
  known.tokens.set(token, { account, all });
  known.made.push(new WeakRef(token));
  const oldest = known.made.length > SPELT ? known.made.shift()?.deref() : undefined;
  if (oldest) known.tokens.delete(oldest);
  return all;
}

/**
 * Secret credentials, and every value that a login composes from credentials alone: whoever has a digest that
 * logs in needs no password.
 */
function credentialsOf({ login }: BackendConfig, account: Account | undefined): string[] {
  const known = new Map<string, string>();
  const secret = new Set<string>();
  for (const [name, value] of Object.entries(account?.credentials ?? {})) {
    known.set(`credentials.${name}`, value.reveal());
    if (!NAMES.test(name)) secret.add(`credentials.${name}`);
  }
  for (const [name, composition] of login.flatMap((step) => Object.entries(step.compose ?? {}))) {
    const names = placeholders(templateOf(composition));
    if (!names.every((of) => known.has(of))) continue;
    known.set(
      name,
      compose(composition, (of) => known.get(of) ?? ''),
    );
    if (names.some((of) => secret.has(of))) secret.add(name);
  }
  return [...secret].map((name) => known.get(name) ?? '');
}

/** Encodings of a composition that can be taken back. */
const DECODE: Partial<Record<string, (text: string) => string>> = {
  base64: (text) => Buffer.from(text, 'base64').toString(),
  base64url: (text) => Buffer.from(text, 'base64url').toString(),
  hex: (text) => Buffer.from(text, 'hex').toString(),
  url: (text) => decodeURIComponent(text),
};

/** A part without a digit may be an ordinary word, unless it is this long. */
const LONGEST_WORD = 16;

/**
 * What the values of a session were composed from: of a header made of login, id and key, the key alone is a secret
 * too. The login steps have long forgotten the parts, so they are read back out of the whole by its template. Where
 * that can be done in two ways, the parts of both count.
 */
function partsOf({ login, session }: BackendConfig, { values }: BackendToken, account: Account | undefined): string[] {
  const compositions = new Map(login.flatMap((step) => Object.entries(step.compose ?? {})));
  const open = new Set<string>(session.public ?? []);
  const credential = (name: string) =>
    name.startsWith('credentials.') ? account?.credentials[name.slice('credentials.'.length)]?.reveal() : undefined;
  const found: string[] = [];
  const take = (name: string, value: string, depth: number): void => {
    const composition = compositions.get(name);
    if (composition === undefined || depth > compositions.size) return;
    const encoding = typeof composition === 'string' ? undefined : Object.keys(composition)[0];
    const text = encoding === undefined ? value : attempt(() => DECODE[encoding]?.(value));
    const template = templateOf(composition);
    const names = placeholders(template).filter((of) => credential(of) === undefined);
    for (const any of ['(.+?)', '(.+)']) {
      const parts = text === undefined ? undefined : patternOf(template, credential, any).exec(text)?.slice(1);
      for (const [i, part] of (parts ?? []).entries()) {
        const of = names[i] ?? '';
        const word = !/\d/.test(part) && part.length < LONGEST_WORD;
        if (!word && !open.has(of) && !NAMES.test(of.replace(/^credentials\./, ''))) found.push(part);
        take(of, part, depth + 1);
      }
    }
  };
  for (const name of session.values) if (!open.has(name)) take(name, values[name] ?? '', 0);
  return found;
}

/** A pattern that takes a text apart as its template has put it together. */
function patternOf(template: string, known: (name: string) => string | undefined, any: string): RegExp {
  const quoted = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  const marked = replacePlaceholders(template, (name) => `\0${known(name) ?? ''}\0`);
  const parts = marked.split('\0').map((text, i) => (i % 2 === 0 || text !== '' ? quoted(text) : any));
  return new RegExp(`^${parts.join('')}$`, 's');
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
