// Reads folders of a revision out of Git, byte for byte: no checkout, no filter and no attribute changes them.
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import type { Files } from '../signed/files.ts';

/** A folder holds no more than this for a policy. */
const MOST_FILES = 2000;
const MOST_BYTES = 64 * 1024 * 1024;

/** A revision of the repository that a folder is in. */
export interface Revision {
  /** As it was asked for, such as "HEAD~1". */
  name: string;
  commit: string;
  /** The files of a folder of it, by names with "/" below that folder; undefined where it has none. */
  read(folder: string): Promise<Files | undefined>;
}

/** Finds a revision of the repository that the folder `near` is in. Rejects with an OperatorError that says why there is none. */
export async function findRevision(name: string, near: string): Promise<Revision> {
  const top = await git(near, ['rev-parse', '--show-toplevel']);
  const root = top.toString('utf8').replace(/\r?\n$/, '');
  const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`];
  const found = await git(root, args).catch(() => undefined);
  if (!found) throw new OperatorError(`the repository ${root} has no revision ${JSON.stringify(name)}`);
  const commit = found.toString('utf8').trim();
  return {
    name,
    commit,
    async read(folder) {
      const below = relative(root, realpath(resolve(folder))).replaceAll('\\', '/');
      if (below.startsWith('../')) throw new OperatorError(`${folder} is outside of the repository ${root}`);
      return readTree(root, commit, below, `${name}:${below}`);
    },
  };
}

/** A folder that the working copy no longer has, or not yet, is below one that it has. */
function realpath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(realpath(above), basename(path));
  }
}

async function readTree(root: string, commit: string, below: string, shown: string): Promise<Files | undefined> {
  const within = below === '' ? [] : ['--', below];
  const listed = await git(root, ['ls-tree', '-r', '-z', '--full-tree', commit, ...within]);
  const prefix = below === '' ? '' : `${below}/`;
  const entries = listed
    .toString('utf8')
    .split('\0')
    .flatMap((line) => {
      const [, mode, hash, name] = /^(\d+) blob ([0-9a-f]+)\t([\s\S]+)$/.exec(line) ?? [];
      if (mode === undefined || hash === undefined || !name?.startsWith(prefix)) return [];
      if (mode === '120000') throw new OperatorError(`${shown}: ${name} is a symbolic link, which is not followed`);
      return [{ hash, name: name.slice(prefix.length) }];
    });
  if (entries.length === 0) return undefined;
  if (entries.length > MOST_FILES)
    throw new OperatorError(`${shown} has more than ${MOST_FILES} files: that is no policy`);
  const blobs = await git(root, ['cat-file', '--batch'], entries.map(({ hash }) => `${hash}\n`).join(''));
  const files = new Map<string, Buffer>();
  let at = 0;
  for (const { name } of entries) {
    const end = blobs.indexOf(0x0a, at);
    const size = Number(/ blob (\d+)$/.exec(blobs.toString('utf8', at, end))?.[1]);
    if (!Number.isInteger(size)) throw new OperatorError(`${shown}: Git does not give ${name}`);
    files.set(name, blobs.subarray(end + 1, end + 1 + size));
    at = end + 1 + size + 1;
  }
  return files;
}

/** Runs Git and answers its standard output. Rejects with an OperatorError that has its message. */
function git(cwd: string, args: readonly string[], input = ''): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const running = spawn('git', args, { cwd, env: environment(), stdio: ['pipe', 'pipe', 'pipe'] });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    let bytes = 0;
    running.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) running.kill();
      else out.push(chunk);
    });
    running.stderr.on('data', (chunk: Buffer) => void err.push(chunk));
    running.stdin.on('error', () => {});
    running.on('error', (error) => reject(new OperatorError(`Git cannot be run: ${error.message}`)));
    running.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out));
      else if (bytes > MOST_BYTES) reject(new OperatorError('Git gives more than 64 MiB: that is no policy'));
      else reject(new OperatorError(`git ${args[0]}: ${Buffer.concat(err).toString('utf8').trim()}`));
    });
    running.stdin.end(input);
  });
}

/** A hook of Git tells its children where the repository is, from the folder that the hook runs in. */
const environment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX)$/.test(name)),
  ),
  // A folder may have a name that Git would take for a pattern.
  GIT_LITERAL_PATHSPECS: '1',
});
