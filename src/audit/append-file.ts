// The file of the decision log. A batch of lines is written and made durable in one call where the system can do that.
import fs from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { OperatorError } from '../core/errors.ts';
import type { Appender } from './batches.ts';

/** `file` is created with mode 0600. `disk` syncs each batch; `os` leaves that to the operating system. */
export interface AppendFileOptions {
  file: string;
  durability: 'disk' | 'os';
}

const write = promisify(fs.write) as (fd: number, data: Buffer, offset: number) => Promise<{ bytesWritten: number }>;
const datasync = promisify(fs.fdatasync);

/**
 * With O_DSYNC a write returns when its data is on the disk (open(2)), which is what write and fdatasync promise, in one
 * turn of the thread pool and not two. Elsewhere the flag is missing or says less.
 */
const WRITES_THROUGH = process.platform === 'linux' ? fs.constants.O_DSYNC : 0;

/** Throws an OperatorError when the file cannot be opened, or is one that others can write. */
export function openAppendFile({ file, durability }: AppendFileOptions): Appender {
  const { O_APPEND, O_CREAT, O_RDWR } = fs.constants;
  const disk = durability === 'disk';
  let fd: number;
  try {
    fs.mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    fd = fs.openSync(file, O_APPEND | O_CREAT | O_RDWR | (disk ? WRITES_THROUGH : 0), 0o600);
  } catch (thrown) {
    throw new OperatorError(`audit.file: ${file} cannot be opened: ${(thrown as NodeJS.ErrnoException).code}`);
  }
  closeToOthers(file, fd);
  let torn = endsWithoutNewline(fd);
  // A pipe, a terminal or a device takes the flag and ignores it. There the sync fails, and with it every record.
  const syncs = disk && (WRITES_THROUGH === 0 || !fs.fstatSync(fd).isFile());
  return {
    async append(lines) {
      // A write that failed half-way may have left part of a line, so the next record starts on a line of its own.
      const data = encode(torn ? ['', ...lines] : lines);
      torn = true;
      for (let at = 0; at < data.length; ) at += (await write(fd, data, at)).bytesWritten;
      torn = false;
      if (syncs) await datasync(fd);
    },
    close: () => fs.closeSync(fd),
  };
}

/** The lines with their ends, each written once: joined to one text first they would be copied twice. */
function encode(lines: readonly string[]): Buffer {
  let size = 0;
  for (const line of lines) size += Buffer.byteLength(line) + 1;
  const data = Buffer.allocUnsafe(size);
  let at = 0;
  for (const line of lines) {
    at += data.write(line, at);
    data[at++] = NEWLINE;
  }
  return data;
}

const NEWLINE = 0x0a;

/**
 * Whoever can write to the log can forge it, so such a file is refused: what stands in it may be forged already. It
 * says who did what (A03), so everybody else loses the right to read it; a group keeps its own, since those who ship
 * logs elsewhere often run as another user. A terminal, a pipe or a device has no content to protect.
 */
function closeToOthers(file: string, fd: number): void {
  const stat = fs.fstatSync(fd);
  if (process.platform === 'win32' || !stat.isFile()) return;
  const mode = stat.mode & 0o777;
  if ((mode & 0o022) === 0) {
    if ((mode & 0o007) !== 0) fs.fchmodSync(fd, mode & ~0o007);
    return;
  }
  fs.closeSync(fd);
  throw writableByOthers(file, mode);
}

const writableByOthers = (file: string, mode: number): OperatorError =>
  new OperatorError(
    `others can write to the decision log ${file} (mode ${mode.toString(8)}); look at what stands in it and run: chmod 600 ${file}`,
  );

/** Throws the OperatorError that opening the file would, and changes nothing. */
export function checkAppendFile(file: string): void {
  let stat: fs.Stats | undefined;
  try {
    stat = fs.statSync(file, { throwIfNoEntry: false });
  } catch (thrown) {
    throw new OperatorError(`${file} cannot be opened: ${(thrown as NodeJS.ErrnoException).code}`);
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

function endsWithoutNewline(fd: number): boolean {
  const { size } = fs.fstatSync(fd);
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  fs.readSync(fd, last, 0, 1, size - 1);
  return last[0] !== NEWLINE;
}
