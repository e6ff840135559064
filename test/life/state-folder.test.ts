// One process on one state folder, and a disk that fails and comes back.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Appender, createBatches } from '../../src/audit/log/batches.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { LOCK, lockFolder } from '../../src/life/lock.ts';
import { notify } from '../../src/life/notify.ts';
import { onPath } from '../support/on-path.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-state-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('R-95: the lock of a state folder', () => {
  it('a second process is told who is there, and may have the folder when that one has gone', async () => {
    const first = await lockFolder(dir);
    await expect(lockFolder(dir)).rejects.toThrow(/is in use by another process: it answers on .*running.sock/);
    await first.close();
    expect(existsSync(join(dir, LOCK))).toBe(false);
    await (await lockFolder(dir)).close();
  });

  it('what a killed process has left behind is stale', async () => {
    const code = `import { lockFolder } from '${join(PACKAGE_ROOT, 'dist/life/lock.js')}'; await lockFolder('${dir}'); console.log('locked'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await expect(lockFolder(dir)).rejects.toThrow(/is in use/);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(existsSync(join(dir, LOCK))).toBe(true);
    await (await lockFolder(dir)).close();
  });

  it('of twenty that start at once on a stale lock, one gets the folder', async () => {
    for (let round = 0; round < 5; round++) {
      const code = `import { createServer } from 'node:net'; createServer().listen('${join(dir, LOCK)}', () => process.kill(process.pid, 'SIGKILL'));`;
      await new Promise((resolve) =>
        spawn(process.execPath, ['--input-type=module', '-e', code]).once('exit', resolve),
      );
      const all = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(dir)));
      const got = all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
      expect(got).toHaveLength(1);
      await got[0]?.close();
    }
  });

  it('a folder with a long name can be locked as well', async () => {
    const long = join(dir, 'a'.repeat(120));
    mkdirSync(long);
    const first = await lockFolder(long);
    await expect(lockFolder(long)).rejects.toThrow(/is in use/);
    await first.close();
    expect(existsSync(join(long, LOCK))).toBe(false);
  });
});

it('R-60: a log that cannot be written is tried each second, and one line says when it could be again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    let full = true;
    const written: string[] = [];
    const appender: Appender = {
      append: async (lines) => {
        if (full) throw new Error('ENOSPC');
        written.push(...lines);
      },
      due: () => false,
      lost: () => {},
      close: async () => {},
    };
    const batches = createBatches(appender, (ms) => `failed for ${Math.round(ms / 1000)} s`);
    await expect(batches.write('a', true)).rejects.toThrow('ENOSPC');
    expect(batches.failure).toBeDefined();
    await vi.advanceTimersByTimeAsync(3500);
    await vi.waitFor(() => expect(batches.failure).toBeDefined());
    full = false;
    await vi.advanceTimersByTimeAsync(1100);
    await vi.waitFor(() => expect(batches.failure).toBeUndefined());
    expect(written).toEqual([expect.stringMatching(/^failed for [345] s$/)]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(written).toHaveLength(1);
    await batches.close();
  } finally {
    vi.useRealTimers();
  }
});

it.skipIf(!onPath('systemd-notify') || !onPath('python3'))(
  'systemd is told when it is ready and when it stops',
  async () => {
    // Node has no datagrams on Unix sockets, so another program listens as systemd does.
    const path = join(dir, 'notify.sock');
    const code = `import os,socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.bind(sys.argv[1]); print('bound',flush=True)
while True:
  data,fds,_,_=socket.recv_fds(s,4096,4); print(data.decode().replace('\\n',' '),flush=True)
  for fd in fds: os.close(fd)`;
    const listener = spawn('python3', ['-c', code, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines: string[] = [];
    createInterface({ input: listener.stdout }).on('line', (line) => void lines.push(line));
    try {
      await vi.waitFor(() => expect(lines).toContain('bound'), 5000);
      const problems: string[] = [];
      const env = { ...process.env, NOTIFY_SOCKET: path };
      await notify('ready', env, (problem) => void problems.push(problem));
      await notify('stopping', env, (problem) => void problems.push(problem));
      await vi.waitFor(() => expect(lines.join('\n')).toMatch(/READY=1[\s\S]*STOPPING=1/), 5000);
      expect(lines.join('\n')).toContain(`MAINPID=${process.pid}`);
      expect(problems).toEqual([]);
      await notify('ready', { NOTIFY_SOCKET: path, PATH: dir }, (problem) => void problems.push(problem));
      expect(problems).toEqual([expect.stringMatching(/systemd-notify failed \(ENOENT\)/)]);
    } finally {
      listener.kill();
    }
  },
);
