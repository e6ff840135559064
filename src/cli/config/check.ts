// `sallyport config check`: lists every problem of the configuration; when there is none, checks the files and
// secrets it names.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { readOperators } from '../../admin/tokens.ts';
import { checkAppendFile } from '../../audit/append-file.ts';
import { readAccountsFile } from '../../config/accounts-file.ts';
import { type Config, parseConfig, readConfigText } from '../../config/load.ts';
import { resolveSecret } from '../../config/secrets.ts';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { checkPrivateFolder } from '../../core/files/private-file.ts';
import { trustFolders } from '../../core/files/secret-file.ts';
import type { SecretSource } from '../../core/files/secret-source.ts';
import { loadBundle, readSettings } from '../../decision/bundle.ts';
import { formatProblem, type Problem } from '../../formats/yaml/yaml.ts';
import { readTls } from '../../http/listener/tls.ts';
import { readClientFile } from '../../identity/client-file.ts';
import { missingKeyring, readKeyring } from '../../keyring/keyring.ts';
import { recompileWith } from '../../policy/recompile.ts';
import { settingsCheck } from '../../policy/settings-names.ts';
import { startCheck } from '../../policy/start.ts';
import { print, printJson } from '../output.ts';
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
  const problems: Problem[] = result.ok ? await fileProblems(file, result.config, offline) : result.problems;
  if (result.ok && strict && problems.length === 0)
    problems.push(...(await strictProblems(file, result.config, offline)));
  if (json) printJson({ ok: problems.length === 0, problems });
  else if (problems.length > 0) throw new OperatorError(problems.map(formatProblem).join('\n'));
  else print(`${file}: ok`);
  if (problems.length > 0) process.exitCode = 1;
}

/** Whether the files say what is said of them. Answers one problem for each line of an error. */
async function fileProblems(file: string, config: Config, offline: boolean): Promise<Problem[]> {
  const policy: Check = [
    'policy.dir',
    async () => {
      settingsCheck(config, () => {})(readSettings(config.policy));
      // As a start does it: a policy that is not compiled needs a compiler, and one that must be compared, too.
      if (!offline) await startCheck(config, {}, () => {})(await loadBundle(config.policy, recompileWith()));
    },
  ];
  const problems: Problem[] = [];
  for (const [path, check] of [...(offline ? [] : secretChecks(config)), policy]) {
    try {
      await check();
    } catch (thrown) {
      for (const message of messageOf(thrown).split('\n')) problems.push({ file, line: 0, path, message });
    }
  }
  return problems;
}

type Check = [path: string, check: () => unknown];

/**
 * What the configuration names and `serve` will need: secrets, client file, certificates, key set.
 */
function secretChecks(config: Config): Check[] {
  trustFolders(config.secrets.trusted_dirs);
  const checks: Check[] = Object.entries(config.backends).flatMap(([name, { credentials, accounts, ca_file }]) => [
    ...Object.entries(credentials).map(([key, ref]): [string, () => unknown] => [
      `backends.${name}.credentials.${key}`,
      () => resolveSecret(ref, 'credential'),
    ]),
    ...(accounts === undefined || accounts.map
      ? []
      : [
          [
            `backends.${name}.accounts.${accounts.file === undefined ? 'env' : 'file'}`,
            () => readAccountsFile(accounts as SecretSource),
          ] as [string, () => unknown],
        ]),
    ...Object.entries(accounts?.map ?? {}).flatMap(([key, refs]) =>
      Object.entries(refs).map(([credential, ref]): [string, () => unknown] => [
        `backends.${name}.accounts.map.${key}.${credential}`,
        () => resolveSecret(ref, 'credential'),
      ]),
    ),
    ...(ca_file === undefined
      ? []
      : [[`backends.${name}.ca_file`, () => readFileSync(ca_file)] as [string, () => unknown]]),
  ]);
  const { keys, jwt } = config.identity;
  const { redis } = config.store;
  for (const [path, ref] of [
    ['store.redis.username', redis?.username],
    ['store.redis.password', redis?.password],
  ] as const) {
    if (ref) checks.push([path, () => resolveSecret(ref, 'credential')]);
  }
  const { admin } = config;
  if (admin) checks.push(['admin', () => readOperators(admin)]);
  if (admin?.tls) checks.push(['admin.tls', () => readTls(admin.tls as NonNullable<typeof admin.tls>)]);
  if (redis?.ca_file !== undefined) {
    const { ca_file } = redis;
    checks.push(['store.redis.ca_file', () => readFileSync(ca_file)]);
  }
  checks.push([
    'file' in config.keyring ? 'keyring_file' : 'keyring.env',
    () => {
      const { keyring } = config;
      if (!('file' in keyring) || existsSync(keyring.file)) readKeyring(keyring);
      else if (redis) throw missingKeyring(keyring.file);
    },
  ]);
  const { tls } = config.listen;
  if (tls) checks.push(['listen.tls', () => readTls(tls)]);
  if (keys) checks.push([`identity.keys.${'file' in keys ? 'file' : 'env'}`, () => readClientFile(keys)]);
  if (jwt && 'file' in jwt.jwks) {
    const { file: jwks } = jwt.jwks;
    checks.push(['identity.jwt.jwks.file', () => JSON.parse(readFileSync(jwks, 'utf8'))]);
  }
  checks.push(['state_dir', () => checkPrivateFolder(config.state_dir)]);
  checks.push(['audit.file', () => checkAppendFile(config.audit.file)]);
  return checks;
}
