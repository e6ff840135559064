// Carries out the login steps of a backend with a new cookie jar, and keeps the cookies and values that the
// configuration says a session consists of.
import type { BackendConfig, CookieName, LoginStep } from '../../config/schema/backend.ts';
import { Secret } from '../../core/secret.ts';
import { PageTooDeepError } from '../../formats/html/depth.ts';
import { placeholders, templateParts } from '../../formats/template.ts';
import { anyHolds } from '../answer/conditions.ts';
import { compose, type Extracted, extract } from '../answer/extract.ts';
import { rpcProblem } from '../answer/verdict.ts';
import type { BackendHttp } from '../http/http.ts';
import { cookieState, createJar, isNamed, type Jar, spelled, whyDropped } from '../http/jar.ts';
import { fillCookies, fillHeaders } from '../http/request.ts';
import type { BackendResponse } from '../http/response.ts';
import { NOTHING, send } from '../http/send.ts';
import { text, UnbuildableError } from '../http/values.ts';
import type { BackendTokenSecret, Checkpoint, LoginResult } from '../port.ts';

/** How a login step went, for `sallyport backend check`, which shows names and lengths and never a value. */
export interface StepReport {
  step: LoginStep;
  /** Undefined when the step sent no request or got no answer. */
  response: BackendResponse | undefined;
  /** Where the answer came from, as cookies see it; "" without one. */
  url: string;
  /** Name of each value the step gave, and its length in characters; for hidden fields, their number. */
  values: [string, number][];
  /** The values themselves, so that they can be blanked in what is shown; of hidden fields only the longer ones. */
  secrets: string[];
  problem: string | undefined;
}

/** Called after each login step, failed ones included. */
export type OnStep = (report: StepReport) => void;

/**
 * Logs in, step by step. `checkpoint` is awaited whenever the cookies (or in a session without cookies, the values)
 * have changed, before the next step is sent, so that a crash leaves a record of what must be logged out.
 */
export async function login(
  http: BackendHttp,
  config: BackendConfig,
  credentials: Readonly<Record<string, Secret>>,
  checkpoint: Checkpoint,
  onStep: OnStep = () => {},
): Promise<LoginResult> {
  const jar = createJar();
  const values = new Map<string, Extracted>(
    Object.entries(credentials).map(([name, secret]) => [`credentials.${name}`, secret.reveal()]),
  );
  const { session } = config;
  const backendToken = (): BackendTokenSecret =>
    new Secret({
      cookies: jar.keep(session.cookies),
      values: Object.fromEntries(session.values.map((name) => [name, textOf(values.get(name))])),
    });
  /** What a checkpoint depends on: the cookies, or the values of a session without cookies; "" while empty. */
  const begun = (): string => {
    const cookies = [...cookieState(jar.keep(session.cookies))];
    const kept =
      session.cookies.length > 0 ? cookies : session.values.map((n) => textOf(values.get(n))).filter(Boolean);
    return kept.length === 0 ? '' : JSON.stringify(kept);
  };
  const partial = () => (begun() === '' ? undefined : backendToken());
  const fail = (failure: Failure): LoginResult => ({ ok: false, ...failure, partial: partial() });

  let recorded = '';
  let open = false;
  const seen: Seen[] = [];
  const onAnswer: OnStep = (report) => {
    for (const line of report.response?.setCookies ?? []) seen.push({ line, url: report.url });
    onStep(report);
  };
  for (const [i, step] of config.login.entries()) {
    open ||= mayOpen(step);
    const failure = await walk(step, http, jar, values, onAnswer);
    if (failure) {
      const where = step.request ? `${step.request.method} ${step.request.path}` : 'compose';
      const detail = `login step ${i + 1} (${where}): ${failure.detail}`;
      return fail({ ...failure, detail, unanswered: open && failure.unanswered === true });
    }
    const soFar = begun();
    if (soFar === recorded) continue;
    recorded = soFar;
    try {
      await checkpoint(backendToken());
    } catch {
      return fail({ code: 'session.unavailable', detail: `the token of login step ${i + 1} could not be recorded` });
    }
  }
  const missing = session.cookies.find((name) => !jar.names().some((key) => isNamed(key, name)));
  const problem = missing !== undefined ? absence(missing, seen) : unusable(config, backendToken());
  if (problem !== undefined) return fail({ code: 'session.login_failed', detail: problem });
  return { ok: true, backendToken: backendToken() };
}

/** A line of Set-Cookie, and the URL of the answer that had it. */
interface Seen {
  line: string;
  url: string;
}

/** Says why there is no such cookie after the login, where it came and was dropped. */
function absence(name: CookieName, seen: readonly Seen[]): string {
  const nameOf = (line: string) => line.split(/[=;]/, 1)[0]?.trim() ?? '';
  const came = seen.filter(({ line }) => isNamed(nameOf(line), name)).at(-1);
  const why = came && whyDropped(came.line, came.url);
  const how = came ? `it came and was dropped: ${why ?? 'a later answer took it away'}` : 'no answer has set it';
  return `no cookie ${spelled(name)} after the login: ${how}`;
}

/** Why the session cannot be used, or undefined: a value that no header or cookie can carry must fail the login. */
function unusable({ session }: BackendConfig, backendToken: BackendTokenSecret): string | undefined {
  const { values } = backendToken.reveal();
  const value = (name: string) => values[name.replace(/^session\./, '')];
  try {
    fillHeaders(session.headers, value);
    fillCookies(session.send_cookies, value);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof UnbuildableError) return thrown.message;
    throw thrown;
  }
}

/**
 * Completes a backend token for its logout. When a login was broken off, values that the logout needs may be
 * missing, such as a CSRF token. They are read again from login steps that are a GET and need no other value than
 * those at hand. Nothing is posted and nothing composed, so that this cannot log in again.
 */
export async function complete(
  http: BackendHttp,
  config: BackendConfig,
  secret: BackendTokenSecret,
): Promise<BackendTokenSecret> {
  const backendToken = secret.reveal();
  const missing = config.session.values.filter((name) => (backendToken.values[name] ?? '') === '');
  if (missing.length === 0) return secret;
  const jar = createJar(backendToken.cookies);
  const values = new Map<string, Extracted>(Object.entries(backendToken.values));
  for (const step of config.login) {
    const { request, extract: extractions = {} } = step;
    const useful = request?.method === 'GET' && missing.some((name) => Object.hasOwn(extractions, name));
    const known = request && templateParts(request).every((p) => placeholders(p.template).every((n) => values.has(n)));
    if (useful && known && !step.compose) await walk(step, http, jar, values);
  }
  const kept = config.session.values.map((name) => [name, textOf(values.get(name))]);
  return new Secret({ cookies: backendToken.cookies, values: Object.fromEntries(kept) });
}

const textOf = (value: Extracted | undefined): string => (typeof value === 'string' ? value : '');

/** `unanswered`: the request may have reached the backend, but no answer came that says what it did. */
type Failure = Omit<Extract<LoginResult, { ok: false }>, 'ok' | 'partial'>;

/** Whether a step can open a session: not the plain GET of a form, before anything of the account was sent. */
const mayOpen = ({ request }: LoginStep): boolean =>
  request !== undefined &&
  (request.method !== 'GET' || templateParts(request).some((p) => placeholders(p.template).length > 0));

async function walk(
  step: LoginStep,
  http: BackendHttp,
  jar: Jar,
  values: Map<string, Extracted>,
  onStep: OnStep = () => {},
): Promise<Failure | undefined> {
  const report: StepReport = { step, response: undefined, url: '', values: [], secrets: [], problem: undefined };
  /** In a login no value is optional: an account without a password must not log in with an empty one. */
  const known = (name: string): Extracted => {
    const value = values.get(name);
    if (value === undefined) throw new UnbuildableError(`there is no value for {${name}}`);
    return value;
  };
  const keep = (name: string, value: Extracted) => {
    values.set(name, value);
    // Most hidden fields are not secret, and blanking short ones would remove ordinary words from what is shown.
    const texts =
      typeof value === 'string'
        ? [value]
        : Object.values(value)
            .map(String)
            .filter((v) => v.length >= 8);
    report.secrets.push(...texts);
    report.values.push([name, typeof value === 'string' ? value.length : Object.keys(value).length]);
  };
  const failure = await take().catch((thrown: unknown): Failure => {
    if (thrown instanceof PageTooDeepError)
      return { code: 'session.login_failed', detail: 'a page that nests too deeply' };
    throw thrown;
  });
  report.problem = failure?.detail;
  onStep(report);
  return failure;

  async function take(): Promise<Failure | undefined> {
    try {
      for (const [name, composition] of Object.entries(step.compose ?? {})) {
        const value = (of: string) => text(known(of), name);
        keep(name, compose(composition, value));
      }
    } catch (thrown) {
      if (thrown instanceof UnbuildableError) return { code: 'session.login_failed', detail: thrown.message };
      throw thrown;
    }
    if (!step.request) return undefined;
    const sent = await send(http, step.request, known, jar, NOTHING, !mayOpen(step));
    if (!sent.ok) {
      jar.store(sent.setCookies, sent.url);
      const { detail, retryAfterSeconds } = sent;
      const code = sent.code === 'backend.request_unbuildable' ? 'session.login_failed' : sent.code;
      return { code, detail, retryAfterSeconds, unanswered: sent.sent };
    }
    const { response } = sent;
    report.response = response;
    report.url = sent.url;
    jar.store(response.setCookies, sent.url);
    const unexpected = check(step, response, http.url);
    if (unexpected !== undefined) {
      // An answer that is not as expected can have opened a session all the same. What it gave is kept for the logout.
      for (const [name, extraction] of Object.entries(step.extract ?? {})) {
        const value = extract(extraction, response, jar);
        if (value !== undefined) keep(name, value);
      }
      return { code: 'session.login_failed', detail: unexpected };
    }
    for (const [name, extraction] of Object.entries(step.extract ?? {})) {
      const value = extract(extraction, response, jar);
      if (value === undefined) return { code: 'session.login_failed', detail: `nothing to extract for "${name}"` };
      keep(name, value);
    }
    return undefined;
  }
}

function check({ expect, request }: LoginStep, response: BackendResponse, base: URL): string | undefined {
  const { status } = response;
  if (request?.jsonrpc) {
    const problem = rpcProblem(response.document);
    if (problem !== undefined) return problem;
  }
  if (!expect) return status >= 200 && status < 300 ? undefined : `status ${status} was not expected`;
  return anyHolds(expect, response, base) ? undefined : `the answer (status ${status}) is not as "expect" says`;
}
