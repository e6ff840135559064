// Checks of a backend that its schema cannot express: above all, that every name a template uses has been given a
// value by an earlier step.
import type { BackendConfig } from '../schema/backend.ts';
import { checkRequest, type Path, type PathProblem, unknownNames } from './request.ts';

/** All problems of one backend. `hasTokens`: clients show access tokens, so that a claim may choose the account. */
export function checkBackend(name: string, backend: BackendConfig, hasTokens: boolean): PathProblem[] {
  const at = ['backends', name];
  const kept = new Set(backend.session.values.map((value) => `session.${value}`));
  return [
    ...checkUrl(backend, at),
    ...checkAccounts(backend, [...at, 'accounts'], hasTokens),
    ...checkLogin(backend, at),
    ...checkSession(backend, [...at, 'session'], kept),
    ...checkOthers(backend, at, kept),
  ];
}

function checkUrl({ url: text, ca_file, tls, session }: BackendConfig, at: Path): PathProblem[] {
  const url = new URL(text);
  const path = [...at, 'url'];
  const problems: PathProblem[] = [];
  const plain = url.protocol === 'http:';
  if (plain && tls) problems.push({ path: [...at, 'tls'], message: 'has no effect with http://' });
  if (!plain && session.cookies_over_http)
    problems.push({ path: [...at, 'session', 'cookies_over_http'], message: 'has no effect with https://' });
  if (ca_file !== undefined && tls?.pin)
    problems.push({ path: [...at, 'tls', 'pin'], message: 'only the key is looked at then: leave "ca_file" out' });
  if (tls?.server_name !== undefined && tls.pin)
    problems.push({ path: [...at, 'tls', 'server_name'], message: 'with "pin" only the key is looked at' });
  if (url.username || url.password)
    problems.push({ path, message: 'credentials do not belong into the URL; use "credentials"' });
  if (url.search || url.hash) problems.push({ path, message: 'a backend URL has no query string and no fragment' });
  return problems;
}

function checkAccounts({ accounts, credentials }: BackendConfig, at: Path, hasTokens: boolean): PathProblem[] {
  if (!accounts) return [];
  const problems: PathProblem[] = [];
  if (typeof accounts.by === 'object' && !hasTokens)
    problems.push({ path: [...at, 'by'], message: 'API keys have no claims: this needs identity.jwt' });
  const [first, ...others] = Object.entries(accounts.map ?? {});
  const names = (entry: Record<string, unknown>) => Object.keys(entry).sort().join(', ');
  for (const [key, entry] of first ? others : []) {
    if (names(entry) !== names(first?.[1] ?? {}))
      problems.push({
        path: [...at, 'map', key],
        message: `has the credentials ${names(entry)}, others have ${names(first?.[1] ?? {})}`,
      });
  }
  for (const [key, entry] of first ? [first, ...others] : []) {
    for (const name of Object.keys(entry).filter((n) => Object.hasOwn(credentials, n)))
      problems.push({ path: [...at, 'map', key, name], message: `"${name}" stands under "credentials" as well` });
  }
  return problems;
}

/** Names of the credentials for templates. A file of accounts may define any, so "credentials.*" stands for all. */
function credentialNames({ credentials, accounts }: BackendConfig): string[] {
  const shared = Object.keys(credentials);
  if (!accounts) return shared.map((name) => `credentials.${name}`);
  if (!accounts.map) return ['credentials.*'];
  return [...shared, ...Object.keys(Object.values(accounts.map)[0] ?? {})].map((name) => `credentials.${name}`);
}

function checkLogin(backend: BackendConfig, at: Path): PathProblem[] {
  const texts = new Set(credentialNames(backend));
  const hidden = new Set<string>();
  const problems: PathProblem[] = [];
  backend.login.forEach((step, i) => {
    const here = [...at, 'login', i];
    for (const [name, composition] of Object.entries(step.compose ?? {})) {
      const template = typeof composition === 'string' ? composition : (Object.values(composition)[0] ?? '');
      problems.push(...unknownNames(template, [...here, 'compose', name], texts));
      texts.add(name);
    }
    if (step.request) problems.push(...checkRequest(step.request, [...here, 'request'], { texts, hidden }));
    for (const [name, extraction] of Object.entries(step.extract ?? {}))
      ('hidden_fields' in extraction ? hidden : texts).add(name);
  });
  if (!backend.login.some((step) => step.request))
    problems.push({ path: [...at, 'login'], message: 'a login needs at least one request' });
  backend.session.values.forEach((value, i) => {
    if (!texts.has(value))
      problems.push({
        path: [...at, 'session', 'values', i],
        message: `no login step extracts or composes "${value}" as text`,
      });
  });
  return problems;
}

function checkSession({ session }: BackendConfig, at: Path, kept: ReadonlySet<string>): PathProblem[] {
  const problems: PathProblem[] = [];
  for (const place of ['headers', 'send_cookies'] as const)
    for (const [name, template] of Object.entries(session[place]))
      problems.push(...unknownNames(template, [...at, place, name], kept));
  session.public.forEach((value, i) => {
    if (!session.values.includes(value))
      problems.push({ path: [...at, 'public', i], message: `"${value}" is not among "values"` });
  });
  for (const [value, extraction] of Object.entries(session.renew)) {
    if (!session.values.includes(value))
      problems.push({ path: [...at, 'renew', value], message: `"${value}" is not among "values"` });
    if ('hidden_fields' in extraction)
      problems.push({ path: [...at, 'renew', value], message: 'a value is a text; take one field with "form_field"' });
  }
  // Values without cookies or headers are enough: some backends expect the session in the body of each request.
  const places = [session.cookies, session.values, Object.keys(session.headers), Object.keys(session.send_cookies)];
  if (places.every((place) => place.length === 0))
    problems.push({ path: at, message: 'a session needs at least one of cookies, values, headers and send_cookies' });
  return problems;
}

function checkOthers(backend: BackendConfig, at: Path, kept: ReadonlySet<string>): PathProblem[] {
  const { csrf } = backend;
  const problems: PathProblem[] = [];
  const withTokens = new Set([...kept, ...tokenNames(backend)]);
  for (const part of ['probe', 'keep_alive'] as const) {
    const request = backend[part]?.request;
    if (request) problems.push(...checkRequest(request, [...at, part, 'request'], { texts: kept }));
  }
  if (backend.logout)
    problems.push(...checkRequest(backend.logout.request, [...at, 'logout', 'request'], { texts: withTokens }));
  if (!csrf) return problems;
  problems.push(...checkRequest(csrf.request, [...at, 'csrf', 'request'], { texts: kept }));
  for (const [header, template] of Object.entries(csrf.headers))
    problems.push(...unknownNames(template, [...at, 'csrf', 'headers', header], withTokens));
  for (const [name, extraction] of Object.entries(csrf.extract)) {
    if ('hidden_fields' in extraction)
      problems.push({ path: [...at, 'csrf', 'extract', name], message: 'extract the one field that has the token' });
  }
  return problems;
}

/** The CSRF tokens by the names that templates use for them. */
export const tokenNames = ({ csrf }: BackendConfig): string[] =>
  Object.keys(csrf?.extract ?? {}).map((name) => `csrf.${name}`);
