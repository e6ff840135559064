// A real Redis of a test's own, on a free port of loopback, without a disk.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from '@keyv/redis';
import { createRedisStore } from '../../src/store/redis/store.ts';
import type { Store } from '../../src/store/store.ts';
import { endWithParent } from './children.ts';
import type { TestClock } from './clock.ts';

export interface TestRedis {
  url: string;
  port: number;
  /** One command, as an operator would give it. */
  command(...args: string[]): Promise<unknown>;
  /** Stops the process, so that it does not answer until `resume`. */
  pause(): void;
  resume(): void;
  kill(): Promise<void>;
  /** Starts a new process on the same port, without any data of the old one. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedis(
  program: string,
  options: { port?: number; args?: string[]; sentinelConfig?: string } = {},
): Promise<TestRedis> {
  const port = options.port ?? (await freePort());
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-redis-'));
  const url = `redis://127.0.0.1:${port}`;
  const launch = async () => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir];
    const own = options.sentinelConfig === undefined ? args : [options.sentinelConfig, '--sentinel'];
    const child = endWithParent(
      spawn(program, [...own, ...(options.args ?? [])], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    for await (const line of createInterface({ input: child.stdout })) {
      if (/Ready to accept connections|Sentinel ID is/.test(line)) break;
    }
    child.stdout.resume();
    return { child, exited };
  };
  let running = await launch();
  const kill = async () => {
    running.child.kill('SIGKILL');
    await running.exited;
  };
  return {
    url,
    port,
    async command(...args) {
      const client = createClient({ url });
      client.on('error', () => {});
      await client.connect();
      try {
        return await client.sendCommand(args);
      } finally {
        client.destroy();
      }
    },
    pause: () => void running.child.kill('SIGSTOP'),
    resume: () => void running.child.kill('SIGCONT'),
    kill,
    async restart() {
      await kill();
      running = await launch();
    },
    async stop() {
      running.child.kill('SIGCONT');
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A store on the server, as one replica would open it. Each prefix is a store of its own. */
export function redisStore(
  redis: Pick<TestRedis, 'url'>,
  clock: TestClock,
  options: Partial<Parameters<typeof createRedisStore>[0]> = {},
): Promise<Store> {
  return createRedisStore({
    url: redis.url,
    timeoutMs: 2000,
    prefix: `test-${Math.random().toString(36).slice(2)}`,
    ttlMs: 3_600_000,
    clock,
    // The time of the server goes with the clock of the test.
    time: () => String(clock.now()),
    keyring: 'the keyring of the test',
    maxSkewMs: 30_000,
    remembered: undefined,
    onEpoch: () => {},
    onEviction: () => {},
    onOtherKeyring: () => {},
    onWentBack: () => {},
    onSkew: () => {},
    ...options,
  });
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
