// One process on one state folder: two would write one decision log and one file of open logins over each other. Node has no
// flock, so the process listens on a Unix socket in the folder. One that nobody answers is left over from a process that is
// gone; the kernel forgets the listener with it, however it died.
import { randomUUID } from 'node:crypto';
import { closeSync, linkSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { messageOf, OperatorError } from '../core/errors.ts';

/** Name of the socket in the state folder. */
export const LOCK = 'running.sock';
/** Longest name of the lock, in bytes: 103 fit everywhere (sockaddr_un), and some letters come behind it. */
const LONGEST = 94;
/** How long an answer may take: a process that is held, but alive, is still the owner. */
const ANSWER_MS = 2000;
/** How long a start waits for others that remove a socket which is left over. */
const LONGEST_WAIT_MS = 10_000;

/** Rejects with an OperatorError when another process uses the folder. Windows has no such sockets; there nothing is done. */
export async function lockFolder(dir: string): Promise<{ close(): Promise<void> }> {
  if (process.platform === 'win32') return { close: async () => {} };
  const path = join(dir, LOCK);
  const mine = `${LOCK}.${randomUUID().slice(0, 8)}`;
  const { at, close } = shortNames(dir);
  const server = createServer((socket) => socket.end());
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new OperatorError(`${path} cannot be made: ${messageOf(error)}`)));
      server.listen(at(mine), resolve);
    });
    server.unref();
    await takePlace(dir, join(dir, mine), at(LOCK));
  } catch (thrown) {
    await closed(server);
    close();
    throw thrown;
  }
  return {
    async close() {
      rmSync(path, { force: true });
      await closed(server);
      close();
    },
  };
}

/** Gives the listening socket the name by which others find it; only one can have it. */
async function takePlace(dir: string, mine: string, asked: string): Promise<void> {
  const path = join(dir, LOCK);
  const end = performance.now() + LONGEST_WAIT_MS;
  while (!linked(mine, path)) {
    if (await answers(asked))
      throw new OperatorError(
        `${dir} is in use by another process: it answers on ${path}. Stop it, or give this one a state_dir of its own`,
      );
    if (performance.now() > end) throw new OperatorError(`${path} is left over and cannot be removed; remove it`);
    await removeStale(dir, path, asked);
  }
  rmSync(mine, { force: true });
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new OperatorError(`${to} cannot be made: ${messageOf(thrown)}`);
  }
}

/**
 * Removes a socket that nobody answers. Of several processes that start at once only the one that could make a folder may
 * do that, and it asks once more: another must not remove the socket that the first has just put there.
 */
async function removeStale(dir: string, path: string, asked: string): Promise<void> {
  const turn = join(dir, `${LOCK}.turn`);
  try {
    mkdirSync(turn);
  } catch {
    const made = statSync(turn, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    // Whoever made it was killed in its turn.
    if (Date.now() - made > LONGEST_WAIT_MS / 2) rmSync(turn, { recursive: true, force: true });
    await new Promise((resolve) => setTimeout(resolve, 20));
    return;
  }
  try {
    if (!(await answers(asked))) rmSync(path, { force: true });
  } finally {
    rmSync(turn, { recursive: true, force: true });
  }
}

const closed = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

/** Whether a process listens there. */
function answers(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(name);
    const end = (alive: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(alive);
    };
    // Connected and silent: somebody is there.
    const timer = setTimeout(() => end(true), ANSWER_MS);
    socket.once('connect', () => end(true));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

/** The name of a socket is short; a folder with a long name is reached through a descriptor of it, on Linux. */
function shortNames(dir: string): { at: (name: string) => string; close(): void } {
  if (Buffer.byteLength(join(dir, LOCK)) <= LONGEST) return { at: (name) => join(dir, name), close: () => {} };
  if (process.platform !== 'linux')
    throw new OperatorError(`${dir} has so long a name that no socket fits into it; choose a shorter state_dir`);
  const fd = openSync(dir, 'r');
  return { at: (name) => `/proc/self/fd/${fd}/${name}`, close: () => closeSync(fd) };
}
