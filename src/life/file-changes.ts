// Files that change what the connector does: keys, clients, accounts, certificates, the configuration itself. Who changes a
// file is nobody the connector could know, so a change is on record with what is known: hash before and after, owner, time.
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Config } from '../config/load.ts';
import { writePrivateFile } from '../core/files/private-file.ts';

/** A file, and the key of connector.yaml that names it. */
interface NamedFile {
  part: string;
  file: string;
}

/** What became of a file. A hash is null where there is no file that can be read, and keyed, since many hold secrets. */
export interface FileChange extends NamedFile {
  before: string | null;
  after: string | null;
  /** User id of its owner. */
  owner: number | null;
  /** When it was changed, by its own word: RFC 3339. */
  changedAt: string | null;
  /** It was changed before this start. */
  whileStopped: boolean;
}

export interface FileChangesOptions {
  config: Config;
  /** Files that no key of it names. */
  more?: readonly NamedFile[];
  /** Remembers the hashes over a restart. */
  memory: string;
  fingerprint: (text: string) => string;
  onChange: (change: FileChange) => void;
  onProblem: (problem: string) => void;
}

/** How often the files are looked at, in milliseconds. */
const LOOK_MS = 1000;

/** Written by the connector itself, time and again. */
const OWN = /^audit\.(file|events\.file|checkpoints\.file|pseudonyms\.file)$/;

/** Begins to look, first at what has changed since the last time this was closed. */
export function watchFileChanges(options: FileChangesOptions): { close(): void } {
  const { config, memory, fingerprint, onChange, onProblem } = options;
  const files = [...filesOf(config), ...(options.more ?? [])];
  const stamps = new Map<string, string>();
  const known = remembered(memory);

  function hashOf(file: string): string | null {
    try {
      return fingerprint(`file ${readFileSync(file, 'latin1')}`);
    } catch {
      return null;
    }
  }
  function lookAt(each: NamedFile, whileStopped: boolean): boolean {
    const { file } = each;
    const stamp = stampOf(file);
    if (stamps.get(file) === stamp) return false;
    stamps.set(file, stamp);
    const [before, after] = [known.get(file), hashOf(file)];
    if (before === after) return false;
    known.set(file, after);
    if (before === undefined) return true;
    const stat = statSync(file, { throwIfNoEntry: false });
    const changedAt = stat ? stat.mtime.toISOString() : null;
    onChange({ ...each, before, after, owner: stat?.uid ?? null, changedAt, whileStopped });
    return true;
  }
  function look(whileStopped: boolean): void {
    const changed = files.map((each) => lookAt(each, whileStopped)).some(Boolean);
    if (!changed) return;
    try {
      writePrivateFile(memory, `${JSON.stringify({ version: 1, files: Object.fromEntries(known) }, null, 2)}\n`);
    } catch (thrown) {
      onProblem(`the hashes of files cannot be kept: ${(thrown as NodeJS.ErrnoException).code}`);
    }
  }
  look(true);
  const timer = setInterval(look, LOOK_MS, false).unref();
  return { close: () => clearInterval(timer) };
}

/** Every file that a configuration names to be read, each once, and the configuration itself. */
export function filesOf(config: Config): NamedFile[] {
  const found = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, item] of Object.entries(value)) {
      const part = path === '' ? key : `${path}.${key}`;
      if (typeof item === 'string' && /(^|_)file$/.test(key)) {
        if (!OWN.test(part) && !found.has(item)) found.set(item, part);
      } else walk(item, part);
    }
  };
  for (const file of config.sources ?? []) found.set(file, 'connector.yaml');
  walk({ ...config, sources: undefined, tools: undefined }, '');
  return [...found].map(([file, part]) => ({ part, file }));
}

/** What cannot be read is not known: then everything is looked at as if for the first time. */
function remembered(memory: string): Map<string, string | null> {
  try {
    if (!existsSync(memory)) return new Map();
    const { files } = JSON.parse(readFileSync(memory, 'utf8')) as { files: Record<string, string | null> };
    return new Map(Object.entries(files));
  } catch {
    return new Map();
  }
}

function stampOf(file: string): string {
  try {
    const { mtimeMs, size, ino, mode, uid } = statSync(file);
    return `${mtimeMs}:${size}:${ino}:${mode}:${uid}`;
  } catch (thrown) {
    return String((thrown as NodeJS.ErrnoException).code);
  }
}
