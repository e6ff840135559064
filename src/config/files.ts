// connector.yaml and the files that it includes, as one value: backends may have a file each, with their tools.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isObject } from '../formats/json.ts';
import { type Problem, readYaml, shownPath, told, type YamlOptions, type YamlRead } from '../formats/yaml/yaml.ts';

/** What an included file may have; everything else stands in connector.yaml itself. */
const TABLES = ['backends', 'tools'];

/** One file of the configuration. */
export interface ConfigText {
  text: string;
  /** Name of the file, as problems show it. */
  file: string;
}

/** The files as one value, and where each of its parts stands; or what is wrong with them. */
export type ReadFiles =
  | {
      ok: true;
      read: YamlRead;
      at: (path: PropertyKey[]) => { file: string; line: number };
      /** The files and folders that were included. */
      included: readonly string[];
    }
  | { ok: false; problems: Problem[] };

/** Reads the main file and what it includes. Paths start from `baseDir`; a folder stands for the YAML files in it. */
export function readFiles(main: ConfigText, baseDir: string, env: NodeJS.ProcessEnv, open: boolean): ReadFiles {
  const first = readYaml(main.text, { file: main.file, env, open });
  if (!first.ok) return first;
  const { raw } = first.read;
  const included = isObject(raw) && Array.isArray(raw.include) ? raw.include : [];
  const problems: Problem[] = [];
  const reads: YamlRead[] = [];
  const opened: string[] = [];
  for (const [i, entry] of included.entries()) {
    if (typeof entry !== 'string') continue;
    const files = filesOf(resolve(baseDir, entry));
    if (typeof files === 'string') {
      problems.push({
        file: main.file,
        line: first.read.lineOf(['include', i]),
        path: `include.${i}`,
        message: told(files, first.read.values),
      });
      continue;
    }
    for (const path of files) {
      const file = path.startsWith(`${baseDir}/`) ? path.slice(baseDir.length + 1) : path;
      const other = readOther(path, { file: told(file, first.read.values), env, open });
      if (other.ok) {
        reads.push(other.read);
        opened.push(path);
      } else problems.push(...other.problems);
    }
  }
  if (problems.length > 0 || !isObject(raw) || reads.length === 0)
    return problems.length > 0 ? { ok: false, problems } : single(first.read);
  const paths = included.flatMap((entry) => (typeof entry === 'string' ? [resolve(baseDir, entry)] : []));
  return merged(first.read, reads, [...paths, ...opened]);
}

function single(read: YamlRead): ReadFiles {
  return { ok: true, read, at: (path) => ({ file: read.file, line: read.lineOf(path) }), included: [] };
}

function readOther(path: string, options: YamlOptions): ReturnType<typeof readYaml> {
  const { file } = options;
  try {
    return readYaml(readFileSync(path, 'utf8'), options);
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code ?? 'unknown error';
    return { ok: false, problems: [{ file, line: 0, path: '', message: `cannot be read: ${code}` }] };
  }
}

/** The YAML files that an entry stands for, or why there are none. */
function filesOf(path: string): string[] | string {
  let names: string[];
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return `${path} does not exist`;
    if (!stat.isDirectory()) return [path];
    names = readdirSync(path);
  } catch (thrown) {
    return `${path} cannot be read: ${(thrown as NodeJS.ErrnoException).code ?? 'unknown error'}`;
  }
  names = names.filter((name) => /\.ya?ml$/.test(name) && !name.startsWith('.'));
  return names.length === 0 ? `${path} has no YAML file` : names.sort().map((name) => join(path, name));
}

function merged(main: YamlRead, others: readonly YamlRead[], included: readonly string[]): ReadFiles {
  const problems: Problem[] = [];
  const raw: Record<string, unknown> = { ...(main.raw as object) };
  const homes = new Map<string, YamlRead>();
  const homeOf = ([table, name]: PropertyKey[]) => homes.get(`${String(table)} ${String(name)}`) ?? main;
  const note = (read: YamlRead, table: string, entries: object) => {
    for (const name of Object.keys(entries)) {
      const key = `${table} ${name}`;
      const path = [table, name];
      const before = homes.get(key);
      const at = { file: read.file, line: read.lineOf(path), path: shownPath(path, read.values) };
      if (before) problems.push({ ...at, message: `stands in ${before.file}:${before.lineOf(path)} already` });
      else homes.set(key, read);
    }
  };
  for (const table of TABLES) if (isObject(raw[table])) note(main, table, raw[table]);
  for (const read of others) {
    if (!isObject(read.raw)) {
      problems.push({ file: read.file, line: 1, path: '', message: 'is no table of backends and tools' });
      continue;
    }
    for (const [table, entries] of Object.entries(read.raw)) {
      if (!TABLES.includes(table) || !isObject(entries))
        problems.push({
          file: read.file,
          line: read.lineOf([table]),
          path: shownPath([table], read.values),
          message: TABLES.includes(table)
            ? 'is no table'
            : 'cannot stand in an included file: "backends" and "tools" can',
        });
      else {
        note(read, table, entries);
        raw[table] = { ...(isObject(raw[table]) ? raw[table] : {}), ...entries };
      }
    }
  }
  if (problems.length > 0) return { ok: false, problems };
  const all = [main, ...others];
  return {
    ok: true,
    read: {
      file: main.file,
      raw,
      lineOf: (path) => homeOf(path).lineOf(path),
      variables: new Map(all.flatMap(({ variables }) => [...variables])),
      references: new Map(all.flatMap(({ references }) => [...references])),
      values: new Map(all.flatMap(({ values }) => [...values])),
      written: new Map(all.flatMap(({ written }) => [...written])),
      open: new Set(all.flatMap(({ open }) => [...open])),
      unset: all.flatMap(({ unset }) => unset),
    },
    at: (path) => ({ file: homeOf(path).file, line: homeOf(path).lineOf(path) }),
    included,
  };
}
