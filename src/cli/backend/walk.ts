// Tries the configuration of a backend on the real system: login, a call, an unknown session, a second login and
// the logouts. Reports names, lengths, statuses and page titles, with every known secret blanked.
import { randomBytes } from 'node:crypto';
import type { Account, ClientIdentity } from '../../backend/accounts.ts';
import { fieldsOf } from '../../backend/answer/conditions.ts';
import { scrubText, spellings } from '../../backend/answer/scrub.ts';
import type { BackendResponse } from '../../backend/http/http.ts';
import { openBackends } from '../../backend/open.ts';
import type { BackendPort, BackendTokenSecret, CallResult } from '../../backend/port.ts';
import type { StepReport } from '../../backend/session/login.ts';
import type { Config } from '../../config/load.ts';
import { type ToolConfig, toolSchema } from '../../config/schema/tool.ts';
import type { Clock } from '../../core/clock.ts';
import { printable } from '../../core/printable.ts';
import { Secret } from '../../core/secret.ts';
import { pageTitle } from '../../formats/html.ts';
import { isObject, type JsonObject } from '../../formats/json.ts';
import { closedSchema, compileSchema } from '../../formats/json-schema.ts';

/** The result of one step. `warn`: it works, but with a limitation the operator should know. */
export interface CheckResult {
  result: 'ok' | 'warn' | 'fail';
  step: string;
  detail: string;
}

/** What is checked, and how. Without `tool`, a tool that reads without arguments is called, or else the probe. */
export interface CheckOptions {
  config: Config;
  name: string;
  /** Key of the account to log in with, when the backend has one for each client or user. */
  account?: string | undefined;
  tool?: string | undefined;
  arguments?: JsonObject | undefined;
  env: NodeJS.ProcessEnv;
  clock: Clock;
  /** Called with each result as soon as it is known. */
  onResult: (result: CheckResult) => void;
  /** When aborted, calls are cancelled, a login under way is completed, and open sessions are logged out. */
  signal?: AbortSignal;
}

/** Name of the tool that stands for the probe. It begins with a space, which no tool of a configuration can have. */
const PROBE = ' probe';
/** Short passwords are blanked as well here: that a name which contains one is blanked too does no harm. */
const SHORTEST_SHOWN = 3;

/** A session of this check with its present backend token. */
interface Held {
  token: BackendTokenSecret;
}

/** Answers whether no step failed. Stops at a failure that makes the steps after it meaningless. */
export async function checkBackend(options: CheckOptions): Promise<boolean> {
  const { config, name, env, clock } = options;
  let failed = false;
  const report = (result: CheckResult['result'], step: string, detail: string): void => {
    if (result === 'fail') failed = true;
    // Names and titles come from the backend and could contain control sequences for the terminal.
    options.onResult({ result, step, detail: printable(detail) });
  };
  let last: BackendResponse | undefined;
  let logins = 0;
  /** Every secret seen so far. A check may blank more than a result may, because nobody works with its output. */
  const secrets = new Set<string>();
  const blank = (text: string) => scrubText(text, spellings([...secrets], SHORTEST_SHOWN));
  const shown = (response: BackendResponse) => {
    for (const line of response.setCookies) secrets.add(/^[^=]*=([^;]*)/.exec(line)?.[1] ?? '');
    return looks(response, blank);
  };
  let unanswered = 'it was not answered';
  let steps = 0;
  let stepFailed = false;
  const onStep = (step: StepReport) => {
    steps += 1;
    for (const secret of step.secrets) secrets.add(secret);
    stepFailed = step.problem !== undefined;
    // The steps of the second login are shown only when they fail: otherwise they repeat those of the first.
    if (logins === 0 || step.problem !== undefined)
      report(step.problem === undefined ? 'ok' : 'fail', `login ${steps}`, stepDetail(step, shown));
  };
  const backends = openBackends({
    config: {
      backends: { [name]: config.backends[name] as Config['backends'][string] },
      tools: toolsWith(config, name),
    },
    env,
    clock,
    onStep,
    onAnswer: (response) => {
      last = response;
    },
    onLogoutFailure: (detail) => {
      unanswered = detail;
    },
  });
  const backend = backends.ports.get(name) as BackendPort;
  async function walk(): Promise<void> {
    const account = accountOf(backend, options);
    if (!account) return report('fail', 'account', `no account "${options.account ?? ''}"; give one with --account`);
    for (const secret of Object.values(account.credentials)) secrets.add(secret.reveal());
    const first = await logIn(account);
    if (!first) return;
    report('ok', 'session', kept(first.token));
    const tool = choose(options, report);
    const left = tool && (await call(tool, first, account)) ? await exercise(tool, first, account) : first;
    await logOut('logout', left, account, undefined, tool);
  }

  /** Checks that an unknown session is recognised and that two sessions can coexist. Answers the one still open. */
  async function exercise(tool: string, first: Held, account: Account): Promise<Held> {
    await expiry(tool, first, account);
    const second = await logIn(account);
    if (!second) return first;
    const both = (await ask(tool, first, account)).kind === 'ok';
    if ((await ask(tool, second, account)).kind === 'ok')
      report(
        both ? 'ok' : 'warn',
        're-login',
        both
          ? 'a second session, beside the first'
          : 'a second session, which ended the first: calls in flight during a rotation will fail',
      );
    else report('fail', 're-login', `the second session does not work: ${last ? shown(last) : 'no answer'}`);
    await logOut('rotation', first, account, second, tool);
    return second;
  }

  async function logIn(account: Account): Promise<Held | undefined> {
    steps = 0;
    const login = await backend.login(account, async () => {});
    logins += 1;
    if (login.ok) return { token: login.backendToken };
    if (!stepFailed) report('fail', 'login', login.detail);
    if (login.partial) await backend.logout(login.partial).catch(() => {});
    return undefined;
  }

  async function ask(tool: string, held: Held, account: Account): Promise<CallResult> {
    last = undefined;
    const result = await backend.call({
      tool,
      arguments: options.arguments ?? {},
      backendToken: held.token,
      account,
      signal: options.signal ?? new AbortController().signal,
    });
    // When the answer changed the session cookie, the new one is the session from now on (R-54).
    if (result.kind !== 'expired' && result.renewed) held.token = result.renewed;
    return result;
  }

  async function call(tool: string, held: Held, account: Account): Promise<boolean> {
    const result = await ask(tool, held, account);
    const label = tool === PROBE ? 'the probe' : tool;
    if (result.kind === 'ok') {
      report(
        'ok',
        'call',
        `${label}: ${last ? shown(last) : ''}${tool === PROBE ? '' : `; result ${blank(shapeOf(result))}`}`,
      );
      return true;
    }
    const why =
      result.kind === 'expired'
        ? 'the answer looks like an ended session, right after the login; see "expired" and "assert"'
        : `${result.code}: ${result.detail}`;
    report('fail', 'call', `${label}: ${why}${last ? ` (${shown(last)})` : ''}`);
    return false;
  }

  async function expiry(tool: string, held: Held, account: Account): Promise<void> {
    const result = await ask(tool, { token: stranger(held.token) }, account);
    const answer = last ? shown(last) : 'no answer';
    if (result.kind === 'expired') return report('ok', 'expiry', `an unknown session is recognised: ${answer}`);
    const what = result.kind === 'ok' ? 'is taken for data' : `is a failure (${result.code}), not an ended session`;
    report('fail', 'expiry', `the answer to an unknown session ${what}; say under "expired" how it looks: ${answer}`);
  }

  async function logOut(
    step: string,
    held: Held,
    account: Account,
    other: Held | undefined,
    tool: string | undefined,
  ): Promise<void> {
    const proof = await backend.logout(held.token).catch(() => 'unreachable' as const);
    const residual = config.backends[name]?.probe
      ? 'the session still works after its logout: a residual risk, on record at every rotation'
      : 'without a "probe" nothing shows that the session is dead; it counts as a residual risk';
    if (proof === 'unreachable')
      return report('fail', step, `the logout did not come about: ${unanswered}; a session is still open`);
    report(proof === 'dead' ? 'ok' : 'warn', step, proof === 'dead' ? 'the old session is dead' : residual);
    if (!other || !tool) return;
    const alive = (await ask(tool, other, account)).kind === 'ok';
    report(
      alive ? 'ok' : 'fail',
      step,
      alive
        ? 'the new session still works'
        : 'the logout of the old session ended the new one as well: leave "logout" out, or use accounts of their own',
    );
  }

  try {
    await walk();
  } finally {
    await backends.close();
  }
  return !failed;
}

function toolsWith(config: Config, name: string): Record<string, ToolConfig> {
  const probe = config.backends[name]?.probe;
  if (!probe) return config.tools;
  const tool = toolSchema.parse({
    backend: name,
    description: 'probe',
    effect: 'read',
    request: probe.request,
    result: { as: 'status' },
  });
  return { ...config.tools, [PROBE]: tool };
}

function accountOf(backend: BackendPort, { account = '', config, name }: CheckOptions): Account | undefined {
  const by = config.backends[name]?.accounts?.by;
  const claims = typeof by === 'object' ? { [by.claim]: account } : {};
  const caller: ClientIdentity = { id: account, subject: account, claims };
  return backend.account(caller);
}

/** The tool to call: the one asked for, else a read without required arguments, else the probe. */
function choose(
  { config, name, tool, arguments: args }: CheckOptions,
  report: (r: CheckResult['result'], s: string, d: string) => void,
): string | undefined {
  if (tool !== undefined) {
    const known = config.tools[tool];
    const problem =
      known?.backend !== name
        ? `no tool "${tool}" of this backend`
        : known.effect !== 'read'
          ? 'the tool writes, and a check calls several times: name one that reads'
          : compileSchema(closedSchema(known.arguments as JsonObject))(args ?? {});
    if (problem === undefined) return tool;
    report('fail', 'call', `${tool}: ${problem}`);
    return undefined;
  }
  const simple = Object.entries(config.tools).find(
    ([, t]) =>
      t.backend === name && t.effect === 'read' && ((t.arguments.required as unknown[] | undefined) ?? []).length === 0,
  );
  if (simple) return simple[0];
  if (config.backends[name]?.probe) return PROBE;
  report('warn', 'call', 'no probe, and no tool that reads without arguments: name one with --tool and --args');
  return undefined;
}

/** The same names with random values: to the backend this looks like a session it has forgotten. */
function stranger(backendToken: BackendTokenSecret): BackendTokenSecret {
  const { cookies, values } = backendToken.reveal();
  const other = (text: unknown) =>
    randomBytes(Math.max(8, String(text).length))
      .toString('hex')
      .slice(0, Math.max(8, String(text).length));
  return new Secret({
    cookies: cookies.map((cookie) => ({ ...cookie, value: other((cookie as { value?: unknown }).value) })),
    values: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, other(value)])),
  });
}

function stepDetail(
  { step, response, values, problem }: StepReport,
  shown: (response: BackendResponse) => string,
): string {
  const parts = [
    step.request ? `${step.request.method} ${step.request.path}` : 'compose',
    problem,
    response && shown(response),
    ...values.map(([name, length]) => `${name} (${length} characters)`),
  ];
  return parts.filter((part) => part !== undefined).join('; ');
}

function kept(backendToken: BackendTokenSecret): string {
  const { cookies, values } = backendToken.reveal();
  const names = cookies.map((cookie) => `cookie ${(cookie as { key: string }).key}`);
  return [...names, ...Object.entries(values).map(([name, value]) => `${name} (${value.length} characters)`)].join(
    '; ',
  );
}

/** Describes an answer for the author of the configuration. `blank` removes the secrets from a text. */
function looks(response: BackendResponse, blank: (text: string) => string): string {
  const { status, location, contentType, setCookies, bytes } = response;
  const parts = [`status ${status}`];
  if (location !== undefined) parts.push(`to ${location.replace(/[;?#].*$/s, '')}`);
  const type = contentType.split(';', 1)[0];
  if (bytes.length > 0) parts.push(`${type || 'no content type'}, ${bytes.length} bytes`);
  if (isObject(response.document)) parts.push(`members ${names(Object.keys(response.document))}`);
  else if (/<(html|form|title|body)\b/i.test(response.body)) parts.push(...looksOfPage(response, blank));
  const cookies = new Set(setCookies.map((line) => line.split('=', 1)[0] ?? ''));
  if (cookies.size > 0) parts.push(`sets ${names([...cookies])}`);
  return blank(parts.join(', '));
}

function looksOfPage(response: BackendResponse, blank: (text: string) => string): string[] {
  try {
    const title = blank(pageTitle(response.body));
    const fields = [...fieldsOf(response).keys()];
    return [
      ...(title ? [`page "${title.slice(0, 80)}"`] : []),
      ...(fields.length > 0 ? [`fields ${names(fields)}`] : []),
    ];
  } catch {
    return ['a page that nests too deeply'];
  }
}

const names = (list: string[]): string => `${list.slice(0, 8).map(named).join(', ')}${list.length > 8 ? ', …' : ''}`;

/** Some backends use a random token as the name of a field or cookie; such a name is not shown. */
const named = (name: string): string =>
  /^[\w-]{20,}$/.test(name) && (name.match(/\d/g)?.length ?? 0) >= 4 ? '(a random name)' : name;

function shapeOf({ value, blob }: Extract<CallResult, { kind: 'ok' }>): string {
  if (blob) return `${blob.mediaType}, ${blob.base64.length} base64 characters`;
  if (typeof value === 'string') return `text of ${value.length} characters`;
  if (Array.isArray(value)) return `list of ${value.length}`;
  return isObject(value) ? `object with ${names(Object.keys(value)) || 'nothing'}` : typeof value;
}
