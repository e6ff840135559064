// Tries the configuration of a backend on the real system: login, a call, an unknown session, a second login and
// the logouts. Reports names, lengths, statuses and page titles, with every known secret blanked.
import { randomBytes } from 'node:crypto';
import type { Account, ClientIdentity } from '../../backend/accounts.ts';
import { isNamed } from '../../backend/http/jar.ts';
import { openBackends } from '../../backend/open.ts';
import type { BackendPort, BackendTokenSecret, CallResult } from '../../backend/port.ts';
import { contentWarnings } from '../../config/check/content.ts';
import type { Config } from '../../config/load.ts';
import { type ToolConfig, toolSchema } from '../../config/schema/tool.ts';
import type { Clock } from '../../core/clock.ts';
import { Secret } from '../../core/secret.ts';
import type { JsonObject } from '../../formats/json.ts';
import { closedSchema, compileSchema } from '../../formats/json-schema.ts';
import { kept, shapeOf } from './describe.ts';
import { type CheckResult, createWitness, type Witness } from './witness.ts';

export type { CheckResult } from './witness.ts';

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

/** A session of this check with its present backend token. */
interface Held {
  token: BackendTokenSecret;
}

/** One walk: the backend it asks, what it has seen so far, and where it reports to. */
interface Walk {
  readonly options: CheckOptions;
  readonly backend: BackendPort;
  readonly account: Account;
  readonly witness: Witness;
}

/** Answers whether no step failed. Stops at a failure that makes the steps after it meaningless. */
export async function checkBackend(options: CheckOptions): Promise<boolean> {
  const { config, name, env, clock } = options;
  const witness = createWitness(options.onResult, config.backends[name]?.logout?.request);
  const backends = openBackends({
    config: {
      backends: { [name]: config.backends[name] as Config['backends'][string] },
      tools: toolsWith(config, name),
    },
    env,
    clock,
    onStep: witness.step,
    onAnswer: witness.answer,
    onLogoutFailure: witness.logoutFailed,
  });
  try {
    const backend = backends.ports.get(name) as BackendPort;
    const account = accountOf(backend, options);
    if (account) await walk({ options, backend, account, witness });
    else witness.report('fail', 'account', `no account "${options.account ?? ''}"; give one with --account`);
  } finally {
    await backends.close();
  }
  return !witness.failed;
}

async function walk(way: Walk): Promise<void> {
  const { options, account, witness } = way;
  for (const { path, message } of contentWarnings(options.config, options.name))
    witness.report('warn', 'content', `${path.join('.')}: ${message}`);
  for (const secret of Object.values(account.credentials)) witness.secret(secret.reveal());
  const first = await logIn(way);
  if (!first) return;
  witness.report('ok', 'session', kept(first.token));
  const tool = choose(options, witness.report);
  const left = tool && (await call(way, tool, first)) ? await exercise(way, tool, first) : first;
  await logOut(way, 'logout', left);
}

/** Checks that an unknown session is recognised and that two sessions can coexist. Answers the one still open. */
async function exercise(way: Walk, tool: string, first: Held): Promise<Held> {
  const { report, shown } = way.witness;
  await expiry(way, tool, first);
  await atOnce(way, tool, first);
  if (tool !== PROBE && way.options.config.backends[way.options.name]?.probe) await probeTells(way, first);
  const second = await logIn(way);
  if (!second) return first;
  const both = (await ask(way, tool, first)).kind === 'ok';
  if ((await ask(way, tool, second)).kind !== 'ok')
    report('fail', 're-login', `the second session does not work: ${shown()}`);
  else if (both) report('ok', 're-login', 'a second session, beside the first');
  else
    report('warn', 're-login', 'a second session, which ended the first: calls in flight during a rotation will fail');
  // A probe counts for something only when it has been seen to pass; see `LogoutResult`.
  if (way.options.config.backends[way.options.name]?.probe) await ask(way, PROBE, second);
  if (await logOut(way, 'rotation', first)) await outlived(way, tool, second);
  return second;
}

async function logIn({ backend, account, witness }: Walk): Promise<Held | undefined> {
  witness.loginBegins();
  const login = await backend.login(account, async () => {});
  witness.loginEnded();
  if (login.ok) return { token: login.backendToken };
  if (!witness.stepFailed) witness.report('fail', 'login', login.detail);
  if (login.partial) await backend.logout(login.partial).catch(() => {});
  return undefined;
}

async function ask({ options, backend, account, witness }: Walk, tool: string, held: Held): Promise<CallResult> {
  witness.forgetAnswer();
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

async function call(way: Walk, tool: string, held: Held): Promise<boolean> {
  const { report, shown, blank, answered } = way.witness;
  const result = await ask(way, tool, held);
  const label = tool === PROBE ? 'the probe' : tool;
  if (result.kind === 'ok') {
    const shape = tool === PROBE ? '' : `; result ${blank(shapeOf(result))}`;
    report('ok', 'call', `${label}: ${answered() ? shown() : ''}${shape}`);
    return true;
  }
  const why =
    result.kind === 'expired'
      ? `the answer looks like an ended session, right after the login: "expired" or "assert" does not fit${missingParts(way)}`
      : `${result.code}: ${result.detail}`;
  report('fail', 'call', `${label}: ${why}${answered() ? ` (${shown()})` : ''}`);
  return false;
}

async function expiry(way: Walk, tool: string, held: Held): Promise<void> {
  const { report, shown } = way.witness;
  const result = await ask(way, tool, { token: stranger(held.token) });
  const answer = shown();
  if (result.kind === 'expired') return report('ok', 'expiry', `an unknown session is recognised: ${answer}`);
  const what = result.kind === 'ok' ? 'is taken for data' : `is a failure (${result.code}), not an ended session`;
  report('fail', 'expiry', `the answer to an unknown session ${what}; say under "expired" how it looks: ${answer}`);
}

/** What the login gave and the session does not keep: perhaps the system wants it. */
function missingParts({ options: { config, name }, witness }: Walk): string {
  const { session, login } = config.backends[name] as Config['backends'][string];
  const cookies = [...witness.loginCookies].filter((key) => !session.cookies.some((each) => isNamed(key, each)));
  const values = login
    .flatMap((step) => [...Object.keys(step.compose ?? {}), ...Object.keys(step.extract ?? {})])
    .filter((value) => !session.values.includes(value));
  const parts = [
    ...(cookies.length > 0 ? [`the cookies ${witness.blank(cookies.join(', '))} (session.cookies)`] : []),
    ...(values.length > 0 ? [`the values ${values.join(', ')} (session.values, with session.headers)`] : []),
  ];
  return parts.length === 0 ? '' : `; or the session lacks a part: the login also gave ${parts.join(' and ')}`;
}

/** How many calls are made at once. */
const AT_ONCE = 4;

/** Whether calls at the same time disturb each other, as they do where each answer replaces the cookie and the old one ends. */
async function atOnce(way: Walk, tool: string, held: Held): Promise<void> {
  const backend = way.options.config.backends[way.options.name];
  if (backend?.session.one_at_a_time) return;
  const calls = Array.from({ length: AT_ONCE }, (): Held => ({ token: held.token }));
  const results = await Promise.all(calls.map((each) => ask(way, tool, each)));
  const [renewed] = calls.map(({ token }) => token).filter((token) => token !== held.token);
  if (renewed) held.token = calls.map(({ token }) => token).findLast((token) => token !== held.token) ?? renewed;
  const failed = results.filter(({ kind }) => kind !== 'ok').length;
  const after = await ask(way, tool, held);
  if (failed === 0 && after.kind === 'ok') return;
  const race = renewed ? ', and each answer brings a new cookie: set session.one_at_a_time' : '';
  way.witness.report(
    'fail',
    'at once',
    `of ${AT_ONCE} calls at the same time ${failed} failed${after.kind === 'ok' ? '' : ', and the session with them'}${race}`,
  );
}

/** Whether the probe tells a session that the backend does not know from a live one: else it proves nothing (R-82). */
async function probeTells(way: Walk, held: Held): Promise<void> {
  const { report, shown } = way.witness;
  const result = await ask(way, PROBE, { token: stranger(held.token) });
  if (result.kind === 'expired') return;
  const what = result.kind === 'ok' ? 'calls an unknown session alive' : `does not recognise it (${result.code})`;
  report('fail', 'probe', `the probe cannot tell: it ${what}; add "assert" to it, or probe another page: ${shown()}`);
}

/** Answers whether the logout came about. */
async function logOut({ options, backend, witness }: Walk, step: string, held: Held): Promise<boolean> {
  const { report } = witness;
  witness.forgetAnswer();
  const proof = await backend.logout(held.token).catch(() => 'unreachable' as const);
  const residual = options.config.backends[options.name]?.probe
    ? 'the session still works after its logout: a residual risk, on record at every rotation'
    : 'without a "probe" nothing shows that the session is dead; it counts as a residual risk';
  if (proof === 'unreachable') {
    report('fail', step, `the logout did not come about: ${witness.unanswered}; a session is still open`);
    return false;
  }
  const answer = witness.logoutAnswer();
  const how = answer ? `; the logout was answered with ${answer.shown}` : '';
  // A logout that the backend did not understand looks like one that cannot end a session.
  if (answer && answer.status >= 400 && proof !== 'dead') {
    report('fail', step, `the logout is refused${how.replace('; the logout was answered', '')}: see "logout"`);
    return false;
  }
  report(proof === 'dead' ? 'ok' : 'warn', step, proof === 'dead' ? 'the old session is dead' : `${residual}${how}`);
  return true;
}

/** Whether the session of the second login outlives the logout of the first, as every rotation needs it. */
async function outlived(way: Walk, tool: string, second: Held): Promise<void> {
  const alive = (await ask(way, tool, second)).kind === 'ok';
  way.witness.report(
    alive ? 'ok' : 'fail',
    'rotation',
    alive
      ? 'the new session still works'
      : 'the logout of the old session ended the new one as well: leave "logout" out, or use accounts of their own',
  );
}

function toolsWith(config: Config, name: string): Record<string, ToolConfig> {
  const probe = config.backends[name]?.probe;
  if (!probe) return config.tools;
  const tool = toolSchema.parse({
    backend: name,
    description: 'probe',
    effect: 'read',
    // As the probe is judged: its page is not that of the tools.
    ...{ request: probe.request, expect: probe.expect, expired: probe.expired, assert: probe.assert ?? [] },
    result: { as: 'status' },
  });
  return { ...config.tools, [PROBE]: tool };
}

function accountOf(backend: BackendPort, { account = '', config, name }: CheckOptions): Account | undefined {
  const by = config.backends[name]?.accounts?.by;
  const claims = typeof by === 'object' ? { [by.claim]: account } : {};
  const client: ClientIdentity = { id: account, subject: account, claims };
  return backend.account(client);
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
