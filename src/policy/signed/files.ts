// The files of a policy, from a folder or from a bundle in OPA's form (.tar.gz), read into memory once: what was verified is
// what is loaded, whoever changes the place meanwhile.
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { messageOf, OperatorError } from '../../core/errors.ts';

/** Contents, by names with "/" below the root. */
export type Files = ReadonlyMap<string, Buffer>;

/** More is no policy, and must not fill the memory. */
const MOST_FILES = 2000;
const MOST_BYTES = 64 * 1024 * 1024;
const ARCHIVE = /\.(tar\.gz|tgz)$/;

/** Whether a path names a bundle in one file. */
export const isArchive = (path: string): boolean => ARCHIVE.test(path);

/** Rejects with an OperatorError for what is no such place, or holds more than a policy. */
export async function readFiles(path: string): Promise<Files> {
  const files = new Map<string, Buffer>();
  let bytes = 0;
  const add = (name: string, content: Buffer) => {
    bytes += content.length;
    if (files.has(name)) throw new OperatorError(`${path} has ${JSON.stringify(name)} twice`);
    if (files.size >= MOST_FILES || bytes > MOST_BYTES)
      throw new OperatorError(`${path} has more than ${MOST_FILES} files, or more than 64 MiB: that is no policy`);
    files.set(name, content);
  };
  try {
    if (isArchive(path) && !statSync(path).isFile()) throw new OperatorError(`${path} is no file`);
    if (isArchive(path)) await readArchive(path, add);
    else readFolder(path, '', add);
  } catch (thrown) {
    if (thrown instanceof OperatorError) throw thrown;
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new OperatorError(`${path} does not exist`);
    throw new OperatorError(`${path} cannot be read: ${code ?? messageOf(thrown)}`);
  }
  return files;
}

/** One text for all that is there, by which a change is noticed. Nothing of it is parsed. Throws for what cannot be read. */
export function stampOf(path: string): string {
  const hash = createHash('sha256');
  if (isArchive(path)) return hash.update(readFileSync(path)).digest('hex');
  readFolder(
    path,
    '',
    (name, content) => void hash.update(`${JSON.stringify(name)} ${content.length}\n`).update(content),
  );
  return hash.digest('hex');
}

type Add = (name: string, content: Buffer) => void;

/** A mounted ConfigMap has its files a second time below a name with two dots. */
function readFolder(root: string, below: string, add: Add): void {
  for (const name of readdirSync(join(root, below)).sort()) {
    if (name.startsWith('..')) continue;
    const inside = below === '' ? name : `${below}/${name}`;
    const path = join(root, inside);
    const stat = statSync(path);
    if (stat.isDirectory()) readFolder(root, inside, add);
    // A pipe or a device would be read for ever.
    else if (!stat.isFile() || stat.size > MOST_BYTES)
      throw new OperatorError(`${root} has ${JSON.stringify(inside)}, which is no file of a policy`);
    else add(inside, readFileSync(path));
  }
}

async function readArchive(path: string, add: Add): Promise<void> {
  const entries = extract();
  let unpacked = 0;
  entries.on('entry', ({ name, type }, content, next) => {
    const parts: Buffer[] = [];
    content.on('data', (part) => {
      unpacked += (part as Buffer).length;
      if (unpacked > MOST_BYTES) entries.destroy(new OperatorError(`${path} has more than 64 MiB: that is no policy`));
      else parts.push(part as Buffer);
    });
    content.on('error', next);
    content.on('end', () => {
      try {
        if (type === 'file') add(safeName(path, name), Buffer.concat(parts));
        else if (type !== 'directory')
          throw new OperatorError(`${path} has ${JSON.stringify(name.slice(0, 100))}, which is a ${type}`);
        next();
      } catch (thrown) {
        entries.destroy(thrown as Error);
      }
    });
  });
  await pipeline(createReadStream(path), createGunzip(), entries);
}

/** OPA begins each name with "/". Nothing may lead out of the folder that the files are laid in. */
function safeName(path: string, name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..') || /[\0\\]/.test(name))
    throw new OperatorError(`${path} has a file with the name ${JSON.stringify(name.slice(0, 100))}`);
  return parts.join('/');
}
