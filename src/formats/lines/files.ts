// Files of lines, cut into parts that threads can share.
import fs from 'node:fs';
import { OperatorError } from '../../core/errors.ts';
import type { Part } from './part.ts';

const MB = 1024 * 1024;
/** Small enough to share the work evenly, and large enough to make few pieces. */
export const PART = 16 * MB;

/** The parts of one file, in their order. */
export interface FileParts {
  readonly file: string;
  /** In bytes on the disk. */
  readonly size: number;
  readonly packed: boolean;
  readonly parts: readonly Part[];
}

/** `part`: size of a part, in bytes. Throws an OperatorError for what is no file, or cannot be read. */
export function partsOf(file: string, part = PART): FileParts {
  const { size, packed } = sizeOf(file);
  if (packed || size === 0) return { file, size, packed, parts: [{ file, from: 0, to: size, packed }] };
  const parts: Part[] = [];
  for (let from = 0; from < size; from += part) parts.push({ file, from, to: Math.min(size, from + part), packed });
  return { file, size, packed, parts };
}

/** Counts bytes as they are read, and tells the sum of all against the size of these files, both in bytes on the disk. */
export function counting(files: readonly FileParts[], onProgress?: (read: number, all: number) => void) {
  const all = files.reduce((sum, { size }) => sum + size, 0);
  let read = 0;
  const onBytes = (bytes: number): void => {
    read += bytes;
    // A file may grow while it is read.
    onProgress?.(Math.min(read, all), all);
  };
  return { all, onBytes };
}

function sizeOf(file: string): { size: number; packed: boolean } {
  let fd: number | undefined;
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) throw Object.assign(new Error(), { code: 'it is no file' });
    const magic = Buffer.alloc(2);
    fs.readSync(fd, magic, 0, 2, 0);
    return { size: stat.size, packed: magic[0] === 0x1f && magic[1] === 0x8b };
  } catch (thrown) {
    throw new OperatorError(`${file} cannot be read: ${(thrown as NodeJS.ErrnoException).code}`);
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}
