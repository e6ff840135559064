// What `config check --strict` finds besides: nothing of it keeps a connector from starting today, and each is a mistake
// that somebody would rather hear of in review.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from '../../config/load.ts';
import { messageOf } from '../../core/errors.ts';
import { loadBundle, readSettings } from '../../decision/bundle.ts';
import type { Problem } from '../../formats/yaml/yaml.ts';
import { readClientFile } from '../../identity/client-file.ts';
import { unlistedTools } from '../../policy/settings-names.ts';

/** Certificates and keys that end sooner than this are named. */
const SOON_DAYS = 30;
const DAY_MS = 86_400_000;

/** Tools that nobody can call, roles that the policy does not know, what ends soon, and Rego that is not what decides. */
export async function strictProblems(file: string, config: Config, offline: boolean): Promise<Problem[]> {
  const problems: Problem[] = [];
  const add = (path: string, message: string) => problems.push({ file, line: 0, path, message });
  const settings = readSettings(config.policy).settings;
  for (const tool of unlistedTools(settings, Object.keys(config.tools)))
    add(`tools.${tool}`, 'no role lists this tool in access.roles of data.yaml, so every call of it is denied');
  await loadBundle(config.policy, async (_place, why) => {
    throw new Error(`${why}; run "sallyport policy build"`);
  }).catch((thrown: unknown) => add('policy.dir', messageOf(thrown)));
  if (offline) return problems;

  for (const [path, tls] of [
    ['listen.tls', config.listen.tls],
    ['admin.tls', config.admin?.tls],
  ] as const)
    if (tls) ends(`${path}.cert_file`, () => Date.parse(new X509Certificate(readFileSync(tls.cert_file)).validTo));
  const { keys } = config.identity;
  if (keys) {
    const known = new Set([...Object.keys(settings.access.roles), ...Object.keys(settings.roles ?? {})]);
    for (const client of clientsOf(keys)) {
      const expires = client.expires_at;
      if (expires !== null) ends(`client ${client.id}`, () => Date.parse(expires));
      for (const role of client.roles)
        if (!known.has(role)) add(`client ${client.id}`, `has the role "${role}", which data.yaml does not know`);
    }
  }
  return problems;

  function ends(path: string, at: () => number): void {
    let when: number;
    try {
      when = at();
    } catch {
      // What cannot be read is named by the check of the files themselves.
      return;
    }
    const days = Math.floor((when - Date.now()) / DAY_MS);
    if (days < SOON_DAYS) add(path, days < 0 ? 'has ended' : `ends in ${days} days`);
  }
}

function clientsOf(keys: Parameters<typeof readClientFile>[0]): ReturnType<typeof readClientFile> {
  try {
    return readClientFile(keys);
  } catch {
    return [];
  }
}
