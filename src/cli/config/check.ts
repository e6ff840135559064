// `sallyport config check`: lists every problem of the configuration; when there is none, checks the files and
// secrets it names.
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { readOperators } from '../../admin/tokens.ts';
import { readSigningKeys } from '../../audit/chain/keys.ts';
import { checkLogFile } from '../../audit/log/file.ts';
import { readBackendTls } from '../../backend/http/connection/tls.ts';
import { readAccountsFile } from '../../config/accounts-file.ts';
import { type CheckedConfig, type Config, parseConfig, readConfigText } from '../../config/load.ts';
import type { BackendConfig, SecretRef } from '../../config/schema/backend.ts';
import { resolveSecret } from '../../config/secrets.ts';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { readCaFile } from '../../core/files/ca-file.ts';
import { checkPrivateFolder } from '../../core/files/private-file.ts';
import { trustFolders } from '../../core/files/secret-file.ts';
import type { SecretSource } from '../../core/files/secret-source.ts';
import { formatProblem, type Problem, shownPath, told } from '../../formats/yaml/yaml.ts';
import { readTls } from '../../http/listener/tls.ts';
import { readKeySet } from '../../identity/access-tokens/key-set.ts';
import { attributesFile, readAttributes } from '../../identity/api-keys/attributes.ts';
import { readClientFile } from '../../identity/client-file.ts';
import { missingKeyring, readKeyring } from '../../keyring/keyring.ts';
import { loadChecked } from '../../policy/load.ts';
import { settingsCheck } from '../../policy/settings-names.ts';
import { settingsOf } from '../../policy/signed/opa-built.ts';
import { withVerified } from '../../policy/signed/open.ts';
import { print, printJson } from '../output.ts';
import { portOf } from '../port.ts';
import { strictProblems } from './strict.ts';

/** Options of the command. */
export interface ConfigCheckOptions {
  json?: boolean;
  /** Needs no secret and no variable, as in the review of a change. */
  offline?: boolean;
  /** Fails on what would start today and is a mistake all the same. */
  strict?: boolean;
}

/**
 * Checks the configuration. Rejects with an OperatorError with all problems, or prints them as JSON and sets exit code
 * 1.
 */
export async function configCheck(file: string, options: ConfigCheckOptions): Promise<void> {
  const { json = false, offline = false, strict = false } = options;
  const result = parseConfig({
    text: readConfigText(file),
    file,
    baseDir: dirname(resolve(file)),
    env: process.env,
    offline,
  });
  const problems: Problem[] = result.ok ? await fileProblems(result, offline) : result.problems;
  if (result.ok && strict && problems.length === 0) problems.push(...(await strictProblems(result, offline)));
  if (json) printJson({ ok: problems.length === 0, problems });
  else if (problems.length > 0) throw new OperatorError(problems.map(formatProblem).join('\n'));
  else print(`${file}: ok`);
  if (problems.length > 0) process.exitCode = 1;
}

/** Whether the files say what is said of them. Answers one problem for each line of an error. */
async function fileProblems({ config, at, values }: CheckedConfig, offline: boolean): Promise<Problem[]> {
  const policy: Check = [
    ['policy', 'dir'],
    async () => {
      // As a start does it: a policy that is not compiled needs a compiler, and one that must be compared, too.
      if (!offline) await loadChecked(config.policy, { config, opa: {}, warn: () => {} });
      else
        await withVerified(config.policy, [], async ({ place }) => settingsCheck(config, () => {})(settingsOf(place)));
    },
  ];
  const problems: Problem[] = [];
  const port: Check = [['listen', 'port'], () => portOf(process.env.PORT)];
  for (const [path, check] of [...(offline ? [] : [port, ...secretChecks(config)]), policy]) {
    try {
      await check();
    } catch (thrown) {
      for (const text of messageOf(thrown).split('\n')) {
        // Where one check looks at several keys, its message begins with the one that it is about.
        const named = /^([a-z_]+(?:\.[\w-]+)+): (.*)$/s.exec(text);
        const where = named?.[1]?.startsWith(`${path[0]}.`) ? (named[1] as string).split('.') : path;
        const message = where === path ? text : (named?.[2] ?? text);
        problems.push({ ...at(where), path: shownPath(where, values), message: told(message, values) });
      }
    }
  }
  return problems;
}

type Check = [path: string[], check: () => unknown];

/**
 * What the configuration names and `serve` will need: secrets, client file, certificates, key set.
 */
function secretChecks(config: Config): Check[] {
  trustFolders(config.secrets.trusted_dirs);
  const checks: Check[] = Object.entries(config.backends).flatMap(([name, backend]) => backendChecks(name, backend));
  const add = (path: string, check: () => unknown) => checks.push([path.split('.'), check]);
  const { keys, jwt } = config.identity;
  const { redis } = config.store;
  for (const key of ['username', 'password'] as const) {
    const ref = redis?.[key];
    if (ref) add(`store.redis.${key}`, () => resolveSecret(ref, `store.redis.${key}`));
  }
  const { admin, keyring } = config;
  if (admin) add('admin', () => readOperators(admin));
  const adminTls = admin?.tls;
  if (adminTls) add('admin.tls', () => readTls(adminTls, false, 'admin.tls'));
  const ca = redis?.ca_file;
  if (ca !== undefined) add('store.redis.ca_file', () => readCaFile(ca, 'store.redis.ca_file'));
  add('file' in keyring ? 'keyring_file' : 'keyring.env', () => {
    if (!('file' in keyring) || existsSync(keyring.file)) readKeyring(keyring);
    else if (redis) throw missingKeyring(keyring.file);
  });
  const { tls } = config.listen;
  if (tls) add('listen.tls', () => readTls(tls));
  if (keys) {
    add(`identity.keys.${'file' in keys ? 'file' : 'env'}`, () => readClientFile(keys));
    if ('file' in keys) add('identity.keys.file', () => readAttributes(attributesFile(keys.file)));
  }
  if (jwt && 'file' in jwt.jwks) {
    const { file: jwks } = jwt.jwks;
    add('identity.jwt.jwks.file', () => readKeySet(jwks));
  }
  const jwksCa = jwt && 'url' in jwt.jwks ? jwt.jwks.ca_file : undefined;
  if (jwksCa !== undefined) add('identity.jwt.jwks.ca_file', () => readCaFile(jwksCa, 'identity.jwt.jwks.ca_file'));
  add('state_dir', () => checkPrivateFolder(config.state_dir));
  const { audit } = config;
  if (audit.to !== 'stdout') {
    add('audit.file', () => checkLogFile(audit.file));
    add('audit.events.file', () => checkLogFile(audit.events.file));
  }
  if (existsSync(audit.keys_file)) add('audit.keys_file', () => readSigningKeys(audit.keys_file));
  return checks;
}

function backendChecks(name: string, { credentials, accounts, ca_file, tls }: BackendConfig): Check[] {
  const at = ['backends', name];
  const secrets = (path: string[], refs: Record<string, SecretRef>): Check[] =>
    Object.entries(refs).map(([key, ref]) => [[...path, key], () => resolveSecret(ref, [...path, key].join('.'))]);
  const checks = secrets([...at, 'credentials'], credentials);
  if (accounts && !accounts.map)
    checks.push([
      [...at, 'accounts', accounts.file === undefined ? 'env' : 'file'],
      () => readAccountsFile(accounts as SecretSource),
    ]);
  for (const [key, refs] of Object.entries(accounts?.map ?? {}))
    checks.push(...secrets([...at, 'accounts', 'map', key], refs));
  checks.push([at, () => readBackendTls({ ca_file, tls }, at.join('.'))]);
  return checks;
}
