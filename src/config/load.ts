// Reads connector.yaml, and is the only module that does. Each stage (syntax, then schema, then cross checks) lists
// all of its problems with their lines. The result is frozen and its paths are absolute.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { OperatorError } from '../core/errors.ts';
import { privateFolder } from '../core/files/private-file.ts';
import type { SecretSource } from '../core/files/secret-source.ts';
import { PACKAGE_ROOT } from '../core/paths.ts';
import { checkYaml, formatProblem, isOpen, type Problem, shownPath, sorted, told } from '../formats/yaml/yaml.ts';
import { crossCheck } from './check/cross.ts';
import { readFiles } from './files.ts';
import type { SecretRef } from './schema/backend.ts';
import { type ConnectorFile, connectorSchema } from './schema/connector.ts';

/** The configuration the connector runs with: checked, frozen, with defaults filled in and absolute paths. */
export type Config = Omit<ConnectorFile, 'keyring' | 'keyring_file' | 'include'> & {
  policy: { dir: string };
  audit: { file: string; keys_file: string; events: { file: string }; pseudonyms: { file: string } };
  keyring: SecretSource;
  /** The files it was read from, those that it includes among them; undefined where it was none. */
  sources?: readonly string[];
};
/** A configuration that was checked, and where it stands. */
export interface CheckedConfig {
  ok: true;
  config: Config;
  /** By the path of a value, joined with NUL, its text with the references to environment variables in it. */
  references: ReadonlyMap<string, string>;
  /** The values of variables that stand in it, each with the reference to it. */
  values: ReadonlyMap<string, string>;
  /** Texts with references in them, values and keys, by what became of them. */
  written: ReadonlyMap<string, string>;
  /** The files and folders that it includes. */
  included: readonly string[];
  /** Where a path stands, or the nearest part of it that does. */
  at: (path: PropertyKey[]) => { file: string; line: number };
}

/** A configuration, or its problems in the order of their lines. */
export type ConfigResult = CheckedConfig | { ok: false; problems: Problem[] };

/** A configuration as text. `env` fills in `${NAME}`. */
export interface ConfigSource {
  text: string;
  /** Name of the file, as problems show it. */
  file: string;
  /** Folder from which relative paths start. */
  baseDir: string;
  env: NodeJS.ProcessEnv;
  /** Check where the values are not: variables that are not set are no problem. What comes of it cannot run. */
  offline?: boolean;
}

/** Parses and checks a configuration. Of the files that it names it opens those that it includes, and no other. */
export function parseConfig({ text, file, baseDir, env, offline = false }: ConfigSource): ConfigResult {
  const files = readFiles({ text, file }, baseDir, env, offline);
  if (!files.ok) return files;
  const parsed = checkYaml<ConnectorFile>(files.read, connectorSchema, files.at);
  if (!parsed.ok) return parsed;
  // Offline, and what was left open fits nothing that was tried: the shape is as far as it can be checked.
  if (!parsed.whole) return { ok: false, problems: [] };
  const problems = crossCheck(parsed.value)
    .filter(({ path }) => !isOpen(files.read, path))
    .map(({ path, message }) => ({
      ...files.at(path),
      path: shownPath(path, files.read.values),
      message: told(message, files.read.values),
    }));
  if (problems.length > 0) return { ok: false, problems: sorted(problems) };
  return {
    ok: true,
    config: freeze(withAbsolutePaths(parsed.value, baseDir)),
    references: files.read.references,
    values: files.read.values,
    written: files.read.written,
    included: files.included,
    at: files.at,
  };
}

/** The text of a file. Throws an OperatorError where there is none that can be read. */
export function readConfigText(file: string): string {
  if (!existsSync(file)) throw new OperatorError(`${file} does not exist; give the path of a connector.yaml`);
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new OperatorError(`${file} cannot be read: ${(thrown as NodeJS.ErrnoException).code ?? 'unknown error'}`);
  }
}

/** Reads a file and does the same; throws one OperatorError with all problems. */
export function loadConfig(file: string, env: NodeJS.ProcessEnv = process.env): Config {
  const result = parseConfig({ text: readConfigText(file), file, baseDir: dirname(resolve(file)), env });
  if (!result.ok) throw new OperatorError(result.problems.map(formatProblem).join('\n'));
  return Object.freeze({ ...result.config, sources: [resolve(file), ...result.included] });
}

function withAbsolutePaths(config: ConnectorFile, baseDir: string): Config {
  const at = (path: string) => resolve(baseDir, path);
  const stateDir = privateFolder(at(config.state_dir));
  const { keyring_file: keyringFile, keyring, include: _include, ...rest } = config;
  const { keys, jwt } = config.identity;
  const { tls } = config.listen;
  const { redis } = config.store;
  const secret = <T extends SecretRef | undefined>(ref: T): T =>
    (ref && 'file' in ref ? { file: at(ref.file) } : ref) as T;
  return {
    ...rest,
    state_dir: stateDir,
    keyring: keyring ?? { file: keyringFile === undefined ? join(stateDir, 'keyring.json') : at(keyringFile) },
    secrets: { trusted_dirs: config.secrets.trusted_dirs.map(at) },
    listen: {
      ...config.listen,
      ...(tls && { tls: tlsAt(tls, at) }),
    },
    ...(config.admin && {
      admin: {
        ...config.admin,
        ...(config.admin.token && { token: secret(config.admin.token) }),
        ...(config.admin.tokens && {
          tokens: Object.fromEntries(
            Object.entries(config.admin.tokens).map(([name, { rights, ...ref }]) => [name, { ...secret(ref), rights }]),
          ),
        }),
        ...(config.admin.tls && { tls: tlsAt(config.admin.tls, at) }),
      },
    }),
    store: {
      ...(redis && {
        redis: {
          ...redis,
          username: secret(redis.username),
          password: secret(redis.password),
          ca_file: redis.ca_file === undefined ? undefined : at(redis.ca_file),
        },
      }),
    },
    policy: {
      ...config.policy,
      dir: config.policy.dir === undefined ? join(PACKAGE_ROOT, 'policies') : at(config.policy.dir),
      ...(config.policy.site_dir !== undefined && { site_dir: at(config.policy.site_dir) }),
      keys: Object.fromEntries(
        Object.entries(config.policy.keys).map(([name, { file }]) => [name, { file: at(file) }]),
      ),
    },
    audit: auditAt(config.audit, stateDir, at),
    alerts: alertsAt(config.alerts, at, secret),
    identity: {
      ...config.identity,
      ...(keys && { keys: secret(keys) }),
      ...(jwt && { jwt: { ...jwt, jwks: jwksAt(jwt.jwks, at) } }),
    },
    backends: Object.fromEntries(
      Object.entries(config.backends).map(([name, backend]) => [name, backendAt(backend, at, secret)]),
    ),
  };
}

/** Events stand beside the decisions unless another place is given; beside a device nothing can stand. */
function auditAt(audit: ConnectorFile['audit'], stateDir: string, at: (path: string) => string): Config['audit'] {
  const { checkpoints, events, pseudonyms } = audit;
  const file = audit.file === undefined ? join(stateDir, 'decisions.jsonl') : at(audit.file);
  const beside = join(file.startsWith('/dev/') ? stateDir : dirname(file), 'events.jsonl');
  return {
    ...audit,
    file,
    events: { ...events, file: events.file === undefined ? beside : at(events.file) },
    keys_file: audit.keys_file === undefined ? join(stateDir, 'audit-keys.json') : at(audit.keys_file),
    pseudonyms: {
      ...pseudonyms,
      file: pseudonyms.file === undefined ? join(stateDir, 'pseudonyms.json') : at(pseudonyms.file),
    },
    checkpoints: { ...checkpoints, ...(checkpoints.file !== undefined && { file: at(checkpoints.file) }) },
  };
}

function alertsAt(
  alerts: ConnectorFile['alerts'],
  at: (path: string) => string,
  secret: <T extends SecretRef | undefined>(ref: T) => T,
): Config['alerts'] {
  const files = (receiver: object): object =>
    Object.fromEntries(
      Object.entries(receiver).map(([key, value]) => {
        if (key.endsWith('_file') && typeof value === 'string') return [key, at(value)];
        if (key === 'secrets') return [key, (value as SecretRef[]).map(secret)];
        return [key, typeof value === 'object' && (key === 'url' || key === 'routing_key') ? secret(value) : value];
      }),
    );
  return {
    ...alerts,
    receivers: Object.fromEntries(
      Object.entries(alerts.receivers).map(([name, receiver]) => [name, files(receiver) as typeof receiver]),
    ),
  };
}

function backendAt(
  backend: ConnectorFile['backends'][string],
  at: (path: string) => string,
  secret: <T extends SecretRef | undefined>(ref: T) => T,
): Config['backends'][string] {
  const { ca_file, tls, proxy, accounts, credentials } = backend;
  const all = (refs: Record<string, SecretRef>) =>
    Object.fromEntries(Object.entries(refs).map(([key, ref]) => [key, secret(ref)]));
  return {
    ...backend,
    ...(ca_file !== undefined && { ca_file: at(ca_file) }),
    ...(tls?.cert_file !== undefined &&
      tls.key_file !== undefined && { tls: { ...tls, cert_file: at(tls.cert_file), key_file: at(tls.key_file) } }),
    ...(typeof proxy === 'object' && { proxy: { ...proxy, password: secret(proxy.password) } }),
    credentials: all(credentials),
    ...(accounts && {
      accounts: {
        ...accounts,
        ...(accounts.file !== undefined && { file: at(accounts.file) }),
        ...(accounts.map && {
          map: Object.fromEntries(Object.entries(accounts.map).map(([key, refs]) => [key, all(refs)])),
        }),
      },
    }),
  };
}

type Jwks = NonNullable<ConnectorFile['identity']['jwt']>['jwks'];

function jwksAt(jwks: Jwks, at: (path: string) => string): Jwks {
  if ('file' in jwks) return { file: at(jwks.file) };
  return { ...jwks, ...(jwks.ca_file !== undefined && { ca_file: at(jwks.ca_file) }) };
}

const tlsAt = (
  { cert_file, key_file, client_ca_file }: NonNullable<ConnectorFile['listen']['tls']>,
  at: (path: string) => string,
) => ({
  cert_file: at(cert_file),
  key_file: at(key_file),
  ...(client_ca_file !== undefined && { client_ca_file: at(client_ca_file) }),
});

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) freeze(child);
  }
  return value;
}
