// Rotation of the connector's own. A file that is full or old is sealed and gets a name of its own; nothing is removed unless
// a budget says so, and never what must still be kept: then calls are refused, so that a flood cannot push evidence out.
import fs from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { hashOf } from '../chain/chain.ts';
import { syncFolder } from './file.ts';
import type { Told } from './resume.ts';
import { firstLinkOf, linkOfLine, readAt, tailOf } from './tail.ts';

/** What connector.yaml says about it, in its units. */
export interface RotationConfig {
  size_mb?: number | undefined;
  age_hours?: number | undefined;
  /** All files of this log together. */
  budget_mb?: number | undefined;
  /** How old a file must be before the budget may remove it. */
  keep_at_least?: { days: number } | undefined;
}

export interface Rotation {
  /** Why this file must end, if it must. */
  due(size: number, openedAt: number): 'size' | 'age' | undefined;
  /** When the first record of a file was written, in milliseconds since 1970; now where it has none. */
  openedAt(file: { fd: number; size: number } | undefined): number;
  /** Removes what the budget wants removed and may be; `tell` is told of each. Throws when there is no room all the same. */
  makeRoom(path: string, present: number, tell: (told: Told) => void): void;
}

const MB = 1024 * 1024;
const HOUR_MS = 3_600_000;
/** How long the sizes of files that nobody writes any more are remembered, in milliseconds. */
const LOOK_MS = 1000;

export function createRotation(config: RotationConfig, now: () => number): Rotation {
  const { size_mb, age_hours, budget_mb, keep_at_least } = config;
  let known = { at: Number.NEGATIVE_INFINITY, aside: 0, present: 0 };
  return {
    due(size, openedAt) {
      if (size === 0) return undefined;
      if (size_mb !== undefined && size >= size_mb * MB) return 'size';
      return age_hours !== undefined && now() - openedAt >= age_hours * HOUR_MS ? 'age' : undefined;
    },
    openedAt: (file) => (file && file.size > 0 ? (firstTimeOf(file) ?? now()) : now()),
    makeRoom(path, present, tell) {
      if (budget_mb === undefined) return;
      const budget = budget_mb * MB;
      // A file that is smaller than before is another one.
      const fresh = performance.now() - known.at < LOOK_MS && present >= known.present;
      known.present = present;
      if (fresh && known.aside + present < budget) return;
      const files = asideOf(path);
      let total = files.reduce((sum, { size }) => sum + size, present);
      for (const file of files) {
        if (total < budget || now() - file.mtimeMs < (keep_at_least?.days ?? 0) * 24 * HOUR_MS) break;
        const told = removed(file);
        if (!told) continue;
        tell(told);
        total -= file.size;
      }
      known = { at: performance.now(), aside: total - present, present };
      if (total >= budget)
        throw Object.assign(
          new Error(
            `the files of ${path} take ${Math.round(total / MB)} MB, which is their budget, and nothing of it is old enough to be removed`,
          ),
          { code: 'budget' },
        );
    },
  };
}

/** The time in the first record of a file. */
function firstTimeOf({ fd, size }: { fd: number; size: number }): number | undefined {
  const text = readAt(fd, 0, Math.min(size, 4096)).toString('latin1');
  const time = Date.parse(/"timestamp":"([^"]+)"/.exec(text)?.[1] ?? '');
  return Number.isNaN(time) ? undefined : time;
}

interface Aside {
  path: string;
  size: number;
  mtimeMs: number;
}

/** The files of a log that have got names of their own, the oldest first. */
function asideOf(path: string): Aside[] {
  const { stem, end } = partsOf(path);
  return fs
    .readdirSync(dirname(path))
    .filter((name) => name.startsWith(stem) && name.endsWith(end))
    .filter((name) => STAMP.test(name.slice(stem.length, name.length - end.length)))
    .map((name) => ({ path: join(dirname(path), name), stat: fs.statSync(join(dirname(path), name)) }))
    .filter(({ stat }) => stat.isFile())
    .map(({ path: aside, stat: { size, mtimeMs } }) => ({ path: aside, size, mtimeMs }))
    .sort((a, b) => a.mtimeMs - b.mtimeMs || (a.path < b.path ? -1 : 1));
}

/** What was found in the place of a log is not the log's own. */
const STAMP = /^-\d{8}T\d{6}Z-\d+(?:-cut|-unsynced)?(?:-\d+)?$/;

const partsOf = (path: string) => ({ stem: basename(path, extname(path)), end: extname(path) });

/** Where something that stands at the path of a log goes: beside it, under a name with time and number. `what` says why it was not simply full. */
export function asideName(path: string, seq: number, at: number, what = ''): string {
  const { stem, end } = partsOf(path);
  const stamp = new Date(at).toISOString().replace(/[-:]|\.\d+/g, '');
  for (let n = 0; ; n += 1) {
    const name = `${stem}-${stamp}-${seq}${what === '' ? '' : `-${what}`}${n === 0 ? '' : `-${n}`}${end}`;
    if (!fs.existsSync(join(dirname(path), name))) return join(dirname(path), name);
  }
}

/** Gives it that name. Throws what renaming throws. */
export function moveAside(path: string, to: string): void {
  fs.renameSync(path, to);
  syncFolder(dirname(path));
}

/** Removes a file of the log, and says what it held. One whose lines are in no chain is nobody's, and stays. */
function removed({ path, size }: Aside): Told | undefined {
  const fd = fs.openSync(path, 'r');
  try {
    const { line } = tailOf(fd, size);
    const [first, last] = [firstLinkOf(fd, size), line && linkOfLine(line)];
    if (!line || !first || !last || first.chain !== last.chain) return undefined;
    fs.unlinkSync(path);
    const held = { of_chain: first.chain, from_seq: first.seq, to_seq: last.seq };
    const hashes = { before_hash: first.prev, last_hash: hashOf(line) };
    return { event: 'log_removed', fields: { file: basename(path), ...held, ...hashes } };
  } finally {
    fs.closeSync(fd);
  }
}

/** Whether a file beside the log ends with this line: then that is the log, moved while nobody wrote. */
export function movedAsideWith(path: string, line: string): boolean {
  const { stem } = partsOf(path);
  try {
    return fs.readdirSync(dirname(path)).some((name) => {
      if (name === basename(path) || !name.startsWith(stem)) return false;
      const fd = fs.openSync(join(dirname(path), name), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
      try {
        const stat = fs.fstatSync(fd);
        return stat.isFile() && stat.size > 0 && tailOf(fd, stat.size).line?.toString() === line;
      } finally {
        fs.closeSync(fd);
      }
    });
  } catch {
    return false;
  }
}
