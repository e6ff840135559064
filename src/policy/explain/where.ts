// Where a setting stands that holds for a call: the tool's own, the backend's, the general one of data.yaml, or the shipped
// default; and those of each role of the client, which are asked besides.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DecisionInput } from '../../decision/schema.ts';
import { isObject, valueAt } from '../../formats/json.ts';
import { readYaml } from '../../formats/yaml/yaml.ts';
import type { LoadedVersion } from '../versions/load.ts';

/** One setting that holds. */
export interface Standing {
  /** As data.yaml has it: "tools.stock_get.lifetime.token_age.limit_seconds". */
  path: string[];
  value: unknown;
  /** undefined for a shipped default. */
  place: { file: string; line: number } | undefined;
}

type Source = Pick<LoadedVersion, 'settings' | 'settingsFile' | 'paths'>;

/** Makes the question for one version. */
export function standings({
  settings,
  settingsFile,
  paths,
}: Source): (path: readonly string[], input: DecisionInput) => Standing[] {
  const file = join(paths.dir, 'data.yaml');
  const read = existsSync(file) ? readYaml(readFileSync(file, 'utf8'), { file }) : undefined;
  const written = read?.ok && isObject(read.read.raw) ? read.read.raw.settings : undefined;
  const standing = (path: string[]): Standing | undefined => {
    const value = valueAt(settings, path);
    if (value === undefined) return undefined;
    const isWritten = valueAt(written, path) !== undefined;
    return {
      path,
      value,
      place: isWritten ? { file: settingsFile.file, line: settingsFile.lineOf(['settings', ...path]) } : undefined,
    };
  };
  return (path, { tool, client }) => {
    if (path[0] === 'access') return [standing([...path])].filter((each) => each !== undefined);
    const layers = [['tools', tool.name], ['backends', tool.backend], []];
    const holding = layers.map((layer) => standing([...layer, ...path])).find((each) => each !== undefined);
    const ofRoles = client.roles.map((role) => standing(['roles', role, ...path]));
    return [...(holding ? [holding] : []), ...ofRoles.filter((each) => each !== undefined)];
  };
}
