// The connection to Redis or Valkey: standalone, Sentinel or Cluster, opened by @keyv/redis. Every
// command has a deadline and none waits in a queue while there is no connection: a late answer is no
// answer.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import KeyvRedis, { type RedisClientOptions } from '@keyv/redis';
import { OperatorError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';

export interface RedisOptions {
  url?: string | undefined;
  sentinel?: { name: string; nodes: { host: string; port: number }[] } | undefined;
  cluster?: { nodes: string[] } | undefined;
  username?: Secret | undefined;
  password?: Secret | undefined;
  caFile?: string | undefined;
  timeoutMs: number;
}

export interface Script {
  readonly text: string;
  readonly sha: string;
}

export interface RedisConnection {
  readonly adapter: KeyvRedis<string>;
  /** Runs a script by its hash. All keys must be in one slot; the first says which. */
  run(script: Script, keys: string[], args: (string | number)[]): Promise<unknown>;
  /** The same deadline for what keyv asks. */
  within<T>(work: Promise<T>): Promise<T>;
  /** Keys that match, node by node. */
  scan(pattern: string): AsyncIterable<string[]>;
  /** Which server processes answer, and whether any of them may drop keys to make room. */
  servers(): Promise<{ runIds: string; evicts: boolean }>;
  /** Told when a connection was lost or made anew. */
  onChange(listener: () => void): void;
  connect(): Promise<void>;
  close(): Promise<void>;
}

/** What the three kinds of client have in common, as far as it is used here. */
interface Client {
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  eval(text: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  connect(): Promise<unknown>;
  destroy(): void;
  isOpen: boolean;
}

interface Node {
  info(section: string): Promise<string>;
  scan(cursor: string, options: { MATCH: string; COUNT: number }): Promise<{ cursor: string | number; keys: string[] }>;
}

export const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') });

export class StoreTimeoutError extends Error {
  override readonly name = 'StoreTimeoutError';
}

export function createRedisConnection(options: RedisOptions): RedisConnection {
  const adapter = new KeyvRedis<string>(clientOptions(options) as RedisClientOptions, {
    throwOnErrors: true,
    throwOnConnectError: true,
  });
  adapter.namespace = undefined;
  const client = adapter.client as unknown as Client;
  // Without a listener an error event would end the process; what failed is told by the command.
  adapter.on('error', () => {});
  client.on('error', () => {});

  const within = <T>(work: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new StoreTimeoutError('the store did not answer in time')),
        options.timeoutMs,
      );
      work.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  const nodes = async () => (await adapter.getMasterNodes()) as unknown as Node[];

  return {
    adapter,
    within,
    run(program, keys, args) {
      const call = { keys, arguments: args.map(String) };
      return within(
        client.evalSha(program.sha, call).catch((error: unknown) => {
          if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return client.eval(program.text, call);
          throw error;
        }),
      );
    },
    async *scan(pattern) {
      // By hand: the client for Sentinel has no iterator.
      for (const node of await nodes()) {
        let cursor = '0';
        do {
          const page = await within(node.scan(cursor, { MATCH: pattern, COUNT: 500 }));
          yield page.keys;
          cursor = String(page.cursor);
        } while (cursor !== '0');
      }
    },
    async servers() {
      const texts = await within(
        nodes().then((all) =>
          Promise.all(all.map(async (node) => (await node.info('server')) + (await node.info('memory')))),
        ),
      );
      const field = (text: string, name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? '';
      return {
        runIds: texts
          .map((text) => field(text, 'run_id'))
          .sort()
          .join(' '),
        evicts: texts.some(
          (text) => field(text, 'maxmemory') !== '0' && field(text, 'maxmemory_policy') !== 'noeviction',
        ),
      };
    },
    onChange(listener) {
      for (const event of ['ready', 'reconnecting', 'end', 'topology-change', 'node-reconnecting', 'node-ready'])
        client.on(event, listener);
    },
    async connect() {
      await within(client.connect().then(() => {}));
    },
    async close() {
      if (client.isOpen) client.destroy();
    },
  };
}

function clientOptions({ url, sentinel, cluster, username, password, caFile, timeoutMs }: RedisOptions): object {
  const ca = caFile === undefined ? undefined : readFileSync(caFile);
  const common = {
    disableOfflineQueue: true,
    ...(username && { username: username.reveal() }),
    ...(password && { password: password.reveal() }),
  };
  const socket = (at: URL | undefined) => ({
    connectTimeout: timeoutMs,
    reconnectStrategy: (attempts: number) => Math.min(50 * 2 ** attempts, 1000),
    ...(at?.protocol === 'rediss:' && {
      tls: true as const,
      ...(ca && { ca }),
      // A name for an address would be no name at all.
      ...(isIP(at.hostname) === 0 && { servername: at.hostname }),
    }),
  });
  if (sentinel) {
    return {
      name: sentinel.name,
      sentinelRootNodes: sentinel.nodes,
      nodeClientOptions: { ...common, socket: socket(undefined) },
      masterPoolSize: 1,
      scanInterval: 1000,
    };
  }
  if (cluster) {
    const [first] = cluster.nodes;
    if (first === undefined) throw new OperatorError('store.redis.cluster.nodes is empty');
    return {
      rootNodes: cluster.nodes.map((node) => ({ url: node })),
      defaults: { ...common, socket: socket(new URL(first)) },
    };
  }
  if (url === undefined) throw new OperatorError('store.redis needs url, sentinel or cluster');
  return { url, ...common, socket: socket(new URL(url)) };
}
