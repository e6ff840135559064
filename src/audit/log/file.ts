// The file that a log stands in. It is compared with its path before and after each write, since a log can be taken away
// from a process that writes on without noticing: removed, moved, cut, or with another file in its place.
import fs from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { OperatorError } from '../../core/errors.ts';

/** `file` is created with mode 0600. `disk` syncs each batch; `os` leaves that to the operating system. */
export interface LogFileOptions {
  file: string;
  durability: 'disk' | 'os';
}

/**
 * What became of the file since the last look. `moved`: it is whole under another name, and its own is free or has an empty
 * file, as log rotation leaves it. `longer`: somebody else has written into it.
 */
export type Place = 'same' | 'moved' | 'unlinked' | 'shorter' | 'replaced' | 'longer';

export interface LogFile {
  readonly path: string;
  readonly fd: number;
  /** A pipe, a terminal or a device has no content to compare or to read again. */
  readonly regular: boolean;
  /** How much stands in it, as far as this process knows, in bytes. */
  size: number;
  /** Appends, and resolves when it is as durable as configured. `size` is what it was until then. */
  write(data: Buffer): Promise<void>;
  look(): { place: Place; size: number };
  close(): void;
}

const write = promisify(fs.write) as (fd: number, data: Buffer, offset: number) => Promise<{ bytesWritten: number }>;
const datasync = promisify(fs.fdatasync);

/**
 * With O_DSYNC a write returns when its data is on the disk (open(2)), which is what write and fdatasync promise, in one
 * turn of the thread pool and not two. Elsewhere the flag is missing or says less.
 */
const WRITES_THROUGH = process.platform === 'linux' ? fs.constants.O_DSYNC : 0;

/**
 * Throws an OperatorError when the file cannot be opened, or is one that others can write. `again`: another one stood there
 * before, so this one must be a file that the same user, or root, has made.
 */
export function openLogFile({ file, durability }: LogFileOptions, again = false): LogFile {
  const { O_APPEND, O_CREAT, O_RDWR } = fs.constants;
  const disk = durability === 'disk';
  let fd: number;
  try {
    fs.mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    fd = fs.openSync(file, O_APPEND | O_CREAT | O_RDWR | (disk ? WRITES_THROUGH : 0), 0o600);
  } catch (thrown) {
    throw unopenable(file, thrown);
  }
  const stat = fs.fstatSync(fd);
  try {
    if (again) refuseStrange(file, stat);
    closeToOthers(file, fd, stat);
  } catch (thrown) {
    fs.closeSync(fd);
    throw thrown;
  }
  const regular = stat.isFile();
  if (regular && disk) syncFolder(dirname(file));
  // A terminal or a device takes the flag and ignores it: there the sync fails, and with it every record. A pipe has no disk.
  const syncs = disk && (WRITES_THROUGH === 0 || !regular) && !stat.isFIFO() && !stat.isSocket();
  const log: LogFile = {
    ...{ path: file, fd, regular, size: regular ? stat.size : 0 },
    async write(data) {
      for (let at = 0; at < data.length; ) at += (await write(fd, data, at)).bytesWritten;
      if (syncs) await datasync(fd);
      log.size += data.length;
    },
    look: () => (regular ? look(fd, stat, file, log.size) : { place: 'same', size: log.size }),
    close: () => fs.closeSync(fd),
  };
  return log;
}

/** An error of opening that has the code of the system. */
const unopenable = (file: string, thrown: unknown): OperatorError =>
  Object.assign(
    new OperatorError(`the log ${file} cannot be opened: ${(thrown as NodeJS.ErrnoException).code ?? thrown}`),
    {
      code: (thrown as NodeJS.ErrnoException).code,
    },
  );

function look(fd: number, opened: fs.Stats, path: string, known: number): { place: Place; size: number } {
  const { nlink, size } = fs.fstatSync(fd);
  if (nlink === 0) return { place: 'unlinked', size };
  if (size < known) return { place: 'shorter', size };
  const there = fs.statSync(path, { throwIfNoEntry: false });
  if (!there) return { place: 'moved', size };
  if (there.ino !== opened.ino || there.dev !== opened.dev)
    return { place: there.isFile() && there.size === 0 ? 'moved' : 'replaced', size };
  return { place: size > known ? 'longer' : 'same', size };
}

/** Whether something stands at a path that is not an empty file. */
export function isOccupied(path: string): boolean {
  const there = fs.statSync(path, { throwIfNoEntry: false });
  return there !== undefined && !(there.isFile() && there.size === 0);
}

/** A new name is on the disk only when its folder is. Some file systems cannot do that, and lose nothing. */
export function syncFolder(dir: string): void {
  try {
    const fd = fs.openSync(dir, 'r');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    // The records themselves are synced, which is what a call waits for.
  }
}

/** Whoever can put a file there chooses what becomes of what is written into it. */
function refuseStrange(file: string, stat: fs.Stats): void {
  const uid = process.getuid?.();
  if (!stat.isFile()) throw new OperatorError(`${file} is no file any more; a log is written only to a file here`);
  if (uid !== undefined && stat.uid !== uid && stat.uid !== 0)
    throw new OperatorError(`${file} belongs to uid ${stat.uid} now, while this process has uid ${uid}`);
}

/**
 * Whoever can write to the log can forge it, so such a file is refused: what stands in it may be forged already. It
 * says who did what (A03), so everybody else loses the right to read it; a group keeps its own, since those who ship
 * logs elsewhere often run as another user. A terminal, a pipe or a device has no content to protect.
 */
function closeToOthers(file: string, fd: number, stat: fs.Stats): void {
  if (process.platform === 'win32' || !stat.isFile()) return;
  const mode = stat.mode & 0o777;
  if ((mode & 0o022) !== 0) throw writableByOthers(file, mode);
  if ((mode & 0o007) !== 0) fs.fchmodSync(fd, mode & ~0o007);
}

const writableByOthers = (file: string, mode: number): OperatorError =>
  new OperatorError(
    `others can write to the decision log ${file} (mode ${mode.toString(8)}); look at what stands in it and run: chmod 600 ${file}`,
  );

/** Throws the OperatorError that opening the file would, and changes nothing. */
export function checkLogFile(file: string): void {
  let stat: fs.Stats | undefined;
  try {
    stat = fs.statSync(file, { throwIfNoEntry: false });
  } catch (thrown) {
    throw unopenable(file, thrown);
  }
  if (!stat) return;
  if (stat.isDirectory()) throw new OperatorError(`${file} is a folder`);
  const mode = stat.mode & 0o777;
  if (process.platform !== 'win32' && stat.isFile() && (mode & 0o022) !== 0) throw writableByOthers(file, mode);
  try {
    fs.accessSync(file, fs.constants.W_OK);
  } catch {
    throw new OperatorError(`${file} cannot be written by this user`);
  }
}
