// What `config check --strict` finds besides: nothing of it keeps a connector from starting today, and each is a mistake
// that somebody would rather hear of in review.

import { certificateEnds, SOON_DAYS } from '../../config/certificates.ts';
import { contentWarnings } from '../../config/check/content.ts';
import type { CheckedConfig } from '../../config/load.ts';
import { messageOf } from '../../core/errors.ts';
import { loadBundle } from '../../decision/bundle.ts';
import type { PolicyPlace } from '../../decision/data/paths.ts';
import { type Problem, shownPath, told } from '../../formats/yaml/yaml.ts';
import { readClientFile } from '../../identity/client-file.ts';
import { keysOf } from '../../policy/load.ts';
import { unlistedTools } from '../../policy/settings-names.ts';
import { isOpaBuilt, settingsOf } from '../../policy/signed/opa-built.ts';
import { withVerified } from '../../policy/signed/open.ts';

const DAY_MS = 86_400_000;

/** Tools that nobody can call, conditions that content can fulfil, roles that the policy does not know, what ends soon, and Rego that is not what decides. */
export async function strictProblems({ config, at, values }: CheckedConfig, offline: boolean): Promise<Problem[]> {
  const problems: Problem[] = [];
  const add = (path: string[], message: string) =>
    problems.push({ ...at(path), path: shownPath(path, values), message: told(message, values) });
  const { settings, unbuilt } = await withVerified(config.policy, offline ? [] : keysOf(config), async ({ place }) => ({
    settings: settingsOf(place).settings,
    unbuilt: isOpaBuilt(place.dir) ? undefined : await builtProblem(place),
  }));
  for (const tool of unlistedTools(settings, Object.keys(config.tools)))
    add(['tools', tool], 'no role lists this tool in access.roles of data.yaml, so every call of it is denied');
  if (unbuilt !== undefined) add(['policy', 'dir'], unbuilt);
  for (const { path, message } of contentWarnings(config)) add(path.map(String), message);
  if (offline) return problems;

  for (const { path, endsAt } of certificateEnds(config)) ends(path, '', endsAt);
  const { keys } = config.identity;
  if (keys) {
    const path = ['identity', 'keys'];
    const known = new Set([...Object.keys(settings.access.roles), ...Object.keys(settings.roles ?? {})]);
    for (const { id, expires_at: expires, roles } of clientsOf(keys)) {
      if (expires !== null) ends(path, `the key of client "${id}" `, Date.parse(expires));
      for (const role of roles)
        if (!known.has(role)) add(path, `client "${id}" has the role "${role}", which data.yaml does not know`);
    }
  }
  return problems;

  function ends(path: string[], what: string, when: number): void {
    const days = Math.floor((when - Date.now()) / DAY_MS);
    if (days < SOON_DAYS) add(path, days < 0 ? `${what}has ended` : `${what}ends in ${days} days`);
  }
}

const builtProblem = (place: PolicyPlace): Promise<string | undefined> =>
  loadBundle(place, async (_place, why) => {
    throw new Error(`${why}; run "sallyport policy build"`);
  }).then(() => undefined, messageOf);

function clientsOf(keys: Parameters<typeof readClientFile>[0]): ReturnType<typeof readClientFile> {
  try {
    return readClientFile(keys);
  } catch {
    return [];
  }
}
