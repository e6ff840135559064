// Packs the files of a policy into a bundle in OPA's form: the same files give the same bytes.
import { gzipSync } from 'node:zlib';
import { pack as tar } from 'tar-stream';
import type { Files } from './files.ts';

/** Answers the bytes of the bundle. */
export async function pack(files: Files): Promise<Buffer> {
  const entries = tar();
  for (const [name, content] of [...files].sort(([a], [b]) => (a < b ? -1 : 1)))
    entries.entry({ name: `/${name}`, mode: 0o600, mtime: new Date(0) }, content);
  entries.finalize();
  const parts: Buffer[] = [];
  for await (const part of entries) parts.push(part as Buffer);
  return gzipSync(Buffer.concat(parts));
}
