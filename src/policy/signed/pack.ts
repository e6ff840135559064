// Packs the files of a policy into a bundle in OPA's form: the same files give the same bytes.
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack as tar } from 'tar-stream';
import type { Files } from './files.ts';

/** Resolves when all is written. */
export async function pack(files: Files, to: Writable): Promise<void> {
  const entries = tar();
  for (const [name, content] of [...files].sort(([a], [b]) => (a < b ? -1 : 1)))
    entries.entry({ name: `/${name}`, mode: 0o600, mtime: new Date(0) }, content);
  entries.finalize();
  await pipeline(entries, createGzip(), to);
}
