// Scans files on all cores: large ones in parts, packed ones each in one piece, small ones here.
import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { OperatorError } from '../../../core/errors.ts';
import { PACKAGE_ROOT } from '../../../core/paths.ts';
import type { PublicKey } from '../public-keys.ts';
import { joined } from './join.ts';
import type { Scan } from './scan.ts';
import { type Part, scanPart } from './scan-file.ts';
import type { Said } from './scan-thread.ts';

/** The built file, also where this one runs from its source: Node 20 loads no TypeScript. */
const THREAD = join(PACKAGE_ROOT, 'dist/audit/read/scan/scan-thread.js');
const MB = 1024 * 1024;
/** Less than this is read before a thread has started. */
const SMALL = 8 * MB;
/** Small enough to share the work evenly, and large enough to make few pieces. */
const PART = 16 * MB;

export interface ScannedFile {
  readonly file: string;
  readonly packed: boolean;
  readonly scan: Scan;
}

export interface ScanOptions {
  files: readonly string[];
  keys: readonly PublicKey[];
  /** Told how much of all was read, in bytes on the disk. */
  onProgress?: ((read: number, all: number) => void) | undefined;
  /** How many threads; default: one for each core. */
  threads?: number;
  /** Size of a part, in bytes. */
  part?: number;
}

/** Rejects with an OperatorError for a file that cannot be read. */
export async function scanAll({ files, keys, onProgress, threads, part = PART }: ScanOptions): Promise<ScannedFile[]> {
  const sizes = files.map(sizeOf);
  const all = sizes.reduce((sum, { size }) => sum + size, 0);
  const parts = files.map((file, i) => partsOf(file, sizes[i] as FileSize, part));
  let read = 0;
  const onBytes = (bytes: number) => {
    read += bytes;
    onProgress?.(Math.min(read, all), all);
  };
  const flat = parts.flat();
  const count = Math.min(threads ?? availableParallelism(), flat.length);
  const scans =
    all <= SMALL && threads === undefined
      ? await inOrder(flat, (one) => scanPart(one, keys, onBytes))
      : await inThreads(flat, keys, count, onBytes);
  let at = 0;
  return files.map((file, i) => {
    const own = scans.slice(at, at + (parts[i] as Part[]).length);
    at += own.length;
    return { file, packed: (sizes[i] as FileSize).packed, scan: joined(own) };
  });
}

interface FileSize {
  size: number;
  packed: boolean;
}

function sizeOf(file: string): FileSize {
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

function partsOf(file: string, { size, packed }: FileSize, part: number): Part[] {
  if (packed || size === 0) return [{ file, from: 0, to: size, packed }];
  const parts: Part[] = [];
  for (let from = 0; from < size; from += part) parts.push({ file, from, to: Math.min(size, from + part), packed });
  return parts;
}

async function inOrder<T, R>(all: readonly T[], one: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const each of all) results.push(await one(each));
  return results;
}

async function inThreads(
  parts: readonly Part[],
  keys: readonly PublicKey[],
  count: number,
  onBytes: (bytes: number) => void,
): Promise<Scan[]> {
  const scans: Scan[] = [];
  let next = 0;
  const threads = Array.from({ length: count }, () => new Worker(THREAD, { workerData: keys }));
  try {
    await Promise.all(
      threads.map(async (thread) => {
        for (let at = next++; at < parts.length; at = next++)
          scans[at] = await askThread(thread, parts[at] as Part, onBytes);
      }),
    );
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
  return scans;
}

function askThread(thread: Worker, part: Part, onBytes: (bytes: number) => void): Promise<Scan> {
  return new Promise((resolve, reject) => {
    const end = () => {
      thread.off('message', hear);
      thread.off('error', fail);
    };
    const fail = (error: Error) => {
      end();
      reject(error);
    };
    function hear(said: Said): void {
      if ('bytes' in said) return onBytes(said.bytes);
      end();
      if ('scan' in said) resolve(said.scan);
      else reject(new OperatorError(`${part.file} cannot be read: ${said.failed}`));
    }
    thread.on('message', hear);
    thread.on('error', fail);
    thread.postMessage(part);
  });
}
