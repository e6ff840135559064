// What one schema cannot say: names that must exist elsewhere in the file, placeholders that nothing
// fills, argument schemas that do not compile. Found when the file is read, not at the first call.
import { schemaProblem } from '../core/json-schema.ts';
import { placeholders, type TemplatePart, templateParts } from '../core/template.ts';
import type { RequestTemplate } from './request-schema.ts';
import type { ConnectorFile } from './schema.ts';

export interface PathProblem {
  path: (string | number)[];
  message: string;
}

export function crossCheck(config: ConnectorFile): PathProblem[] {
  return [
    ...checkListen(config),
    ...checkIdentity(config),
    ...checkStore(config),
    ...Object.entries(config.backends).flatMap(([name, backend]) => checkBackend(name, backend)),
    ...Object.entries(config.tools).flatMap(([name, tool]) => checkTool(name, tool, config)),
  ];
}

/** Host validation knows loopback names only: without a name of its own nobody else could call. */
function checkListen({ listen, public_url, allowed_hosts }: ConnectorFile): PathProblem[] {
  const loopback = ['127.0.0.1', '::1', 'localhost'].includes(listen.host);
  if (loopback || public_url !== undefined || allowed_hosts.length > 0) return [];
  return [
    {
      path: ['listen', 'host'],
      message:
        'a connector that others reach needs "public_url" (or "allowed_hosts"): calls under other names are refused',
    },
  ];
}

/** Each replica would make a keyring of its own, and drop the sessions of the others as unreadable. */
function checkStore({ store, keyring_file, listen, admin }: ConnectorFile): PathProblem[] {
  const problems: PathProblem[] = [];
  if (store.redis && keyring_file === undefined)
    problems.push({ path: ['store', 'redis'], message: 'replicas need the same keys: set "keyring_file"' });
  if (admin && admin.port !== 0 && admin.port === listen.port)
    problems.push({ path: ['admin', 'port'], message: 'the same as listen.port; the admin listener needs its own' });
  return problems;
}

function checkIdentity({ identity }: ConnectorFile): PathProblem[] {
  const problems: PathProblem[] = [];
  if (identity.sender_constrained === 'required' && !identity.jwt) {
    problems.push({
      path: ['identity', 'sender_constrained'],
      message: 'API keys are bound to nobody: "required" needs identity.jwt',
    });
  }
  identity.mtls?.proxies.forEach((network, i) => {
    if (!isNetwork(network))
      problems.push({ path: ['identity', 'mtls', 'proxies', i], message: 'not a network, such as 10.0.0.0/8' });
  });
  return problems;
}

/** Enough to catch a slip; the exact reading is identity/address.ts. */
const isNetwork = (text: string): boolean =>
  /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\/\d{1,3}$/.test(text);

function checkBackend(name: string, backend: ConnectorFile['backends'][string]): PathProblem[] {
  const at = ['backends', name];
  const problems: PathProblem[] = [];
  const url = new URL(backend.url);
  if (url.username || url.password)
    problems.push({ path: [...at, 'url'], message: 'credentials do not belong into the URL; use "credentials"' });
  if (url.search || url.hash)
    problems.push({ path: [...at, 'url'], message: 'a backend URL has no query string and no fragment' });

  const credentials = Object.keys(backend.credentials).map((c) => `credentials.${c}`);
  const known = new Set(credentials);
  backend.login.forEach((step, i) => {
    problems.push(...checkRequest(step.request, [...at, 'login', i, 'request'], known));
    for (const extracted of Object.keys(step.extract ?? {})) known.add(extracted);
  });
  backend.session.values.forEach((value, i) => {
    if (!known.has(value))
      problems.push({ path: [...at, 'session', 'values', i], message: `no login step extracts "${value}"` });
  });
  const ofSession = sessionNames(backend);
  for (const [header, template] of Object.entries(backend.session.headers)) {
    problems.push(...unknownNames(template, [...at, 'session', 'headers', header], ofSession));
  }
  for (const part of ['logout', 'probe'] as const) {
    const request = backend[part]?.request;
    if (request) problems.push(...checkRequest(request, [...at, part, 'request'], ofSession));
  }
  if (backend.session.cookies.length === 0 && Object.keys(backend.session.headers).length === 0) {
    problems.push({ path: [...at, 'session'], message: 'a session needs at least one cookie or header' });
  }
  if (Object.values(backend.expired).every((list) => list === undefined || list.length === 0)) {
    problems.push({
      path: [...at, 'expired'],
      message: 'say how the end of a session looks: status, redirect_to, form_field or body_contains',
    });
  }
  return problems;
}

function checkTool(name: string, tool: ConnectorFile['tools'][string], config: ConnectorFile): PathProblem[] {
  const at = ['tools', name];
  const backend = config.backends[tool.backend];
  if (!backend) return [{ path: [...at, 'backend'], message: `no backend "${tool.backend}" under "backends"` }];
  const problem =
    tool.arguments.type === 'object'
      ? schemaProblem(tool.arguments)
      : 'the schema of the arguments must have "type": "object"';
  if (problem !== undefined) return [{ path: [...at, 'arguments'], message: problem }];

  const names = Object.keys((tool.arguments.properties as object | undefined) ?? {});
  const required = new Set((tool.arguments.required as string[] | undefined) ?? []);
  const known = new Set([...names, ...sessionNames(backend)]);
  const problems = checkRequest(tool.request, [...at, 'request'], known);
  for (const argument of placeholders(tool.request.path)) {
    if (names.includes(argument) && !required.has(argument)) {
      problems.push({
        path: [...at, 'request', 'path'],
        message: `"${argument}" stands in the path, so it must be a required argument`,
      });
    }
  }
  tool.audit.forEach((argument, i) => {
    if (!names.includes(argument))
      problems.push({ path: [...at, 'audit', i], message: `the tool has no argument "${argument}"` });
  });
  return problems;
}

const sessionNames = (backend: ConnectorFile['backends'][string]): Set<string> =>
  new Set(backend.session.values.map((v) => `session.${v}`));

function checkRequest(request: RequestTemplate, at: (string | number)[], known: Set<string>): PathProblem[] {
  return templateParts(request).flatMap(({ path, template }: TemplatePart) =>
    unknownNames(template, [...at, ...path], known),
  );
}

function unknownNames(template: string, path: (string | number)[], known: Set<string>): PathProblem[] {
  return placeholders(template)
    .filter((name) => !known.has(name))
    .map((name) => ({
      path,
      message: `nothing fills the placeholder {${name}}; known here: ${[...known].join(', ') || 'none'}`,
    }));
}
