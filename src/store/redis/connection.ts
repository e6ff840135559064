// The connection to Redis or Valkey (standalone, Sentinel or Cluster), opened by @keyv/redis. Every command has a
// deadline, and none waits in a queue while there is no connection: an answer that comes late counts as no answer
//
import { createHash } from 'node:crypto';
import KeyvRedis, { type RedisClientOptions } from '@keyv/redis';
import { OperatorError } from '../../core/errors.ts';
import { readCaFile } from '../../core/files/ca-file.ts';
import type { Secret } from '../../core/secret.ts';

/**
 * Where the store is: exactly one of `url`, `sentinel` and `cluster`. `timeoutMs` is the deadline of every command.
 */
export interface RedisOptions {
  url?: string | undefined;
  sentinel?: { name: string; nodes: { host: string; port: number }[]; tls?: boolean | undefined } | undefined;
  cluster?: { nodes: string[] } | undefined;
  username?: Secret | undefined;
  password?: Secret | undefined;
  caFile?: string | undefined;
  timeoutMs: number;
  /** Told how long each question took that was answered. */
  onTrip?: ((seconds: number) => void) | undefined;
}

/** A Lua script and its SHA-1 hash, by which the server knows it. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

/** What the adapters of the store use. Commands reject with a StoreTimeoutError at their deadline. */
export interface RedisConnection {
  /** Runs a script by its hash. All keys must be in one hash slot; the first key says which. */
  run(script: Script, keys: string[], args: (string | number)[]): Promise<unknown>;
  /** Removes one field of a hash. */
  removeField(key: string, field: string): Promise<void>;
  /** The keys that match the pattern, page by page, from one master node after the other. */
  scan(pattern: string): AsyncIterable<string[]>;
  /**
   * Which server processes answer ('' while that is changing), and whether any of them may drop keys to make room.
   */
  servers(): Promise<{ runIds: string; evicts: boolean }>;
  /** Has the listener called whenever a connection was lost or made anew. */
  onChange(listener: () => void): void;
  /** Connects. Rejects when there is no connection by the deadline. */
  connect(): Promise<void>;
  close(): Promise<void>;
}

/** What the three kinds of client have in common, as far as it is used here. */
interface RedisClient {
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  eval(text: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  hDel(key: string, field: string): Promise<unknown>;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  connect(): Promise<unknown>;
  destroy(): void;
  isOpen: boolean;
}

interface Node {
  info(section: string): Promise<string>;
  scan(cursor: string, options: { MATCH: string; COUNT: number }): Promise<{ cursor: string | number; keys: string[] }>;
}

/** Most commands that may wait for an answer at the same time. */
const MOST_WAITING = 20_000;

/** Makes a script of its text. */
export const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') });

/** The store did not answer by the deadline. What was asked of it may have been done all the same. */
export class StoreTimeoutError extends Error {
  override readonly name = 'StoreTimeoutError';
}

/** Makes the connection without opening it. Throws an OperatorError when `caFile` cannot be used. */
export function createRedisConnection(options: RedisOptions): RedisConnection {
  const adapter = new KeyvRedis<string>(clientOptions(options) as RedisClientOptions, {
    throwOnErrors: true,
    throwOnConnectError: true,
  });
  adapter.namespace = undefined;
  const client = adapter.client as unknown as RedisClient;
  /** Why the last attempt to connect failed: the client goes on trying, so nothing else would say it. */
  let failed: unknown;
  // Without a listener an error event would end the process. A command that fails reports the error itself.
  adapter.on('error', () => {});
  client.on('error', (error) => {
    failed = error;
  });
  client.on('ready', () => {
    failed = undefined;
  });

  const within = <T>(work: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new StoreTimeoutError(lateBecause(failed))), options.timeoutMs);
      work
        .then(
          (value) => {
            failed = undefined;
            resolve(value);
          },
          (error: unknown) => reject(inWords(error, failed)),
        )
        .finally(() => clearTimeout(timer));
    });
  const nodes = async () => (await adapter.getMasterNodes()) as unknown as Node[];

  return {
    removeField: async (key, field) => void (await within(client.hDel(key, field))),
    run(program, keys, args) {
      const call = { keys, arguments: args.map(String) };
      const began = performance.now();
      return within(
        client
          .evalSha(program.sha, call)
          .catch((error: unknown) => {
            if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return client.eval(program.text, call);
            throw error;
          })
          .then((answer) => {
            options.onTrip?.((performance.now() - began) / 1000);
            return answer;
          }),
      );
    },
    async *scan(pattern) {
      // The pages are read by hand, because the client for Sentinel has no iterator.
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
      const sections = async (node: Node) =>
        (await Promise.all(['server', 'replication', 'memory'].map((section) => node.info(section)))).join('\n');
      const texts = await within(nodes().then((all) => Promise.all(all.map(sections))));
      const field = (text: string, name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? '';
      // A node that is no master has just been demoted. The topology is about to change, so nothing is concluded from
      // it.
      const settled = texts.every((text) => field(text, 'role') === 'master');
      const ids = texts.map((text) => field(text, 'run_id')).sort();
      if (ids.some((id) => id === '')) throw new Error('the store does not say which server answers (INFO server)');
      return {
        runIds: settled ? ids.join(' ') : '',
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

/** Errors of TLS by their codes (of OpenSSL, and of Node), with what to look at. */
const TLS_ERRORS: readonly [code: RegExp, text: string][] = [
  [/ALTNAME/, 'the certificate of the store is for another name than the one connected to'],
  [/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/, 'the certificate of the store has expired, or is not valid yet'],
  [/SELF_SIGNED|UNABLE_TO|CERT/, 'the certificate of the store is not trusted; set store.redis.ca_file to its CA'],
  [/SSL|TLS|EPROTO/, 'the store does not speak TLS at this address, or not a version that is accepted'],
];

/** Answers of the server that say why it serves nobody, by their first word. */
const REPLIES: Readonly<Record<string, string>> = {
  WRONGPASS: 'the store refuses the user name or the password; look at store.redis.username and store.redis.password',
  NOAUTH: 'the store wants a password; set store.redis.password',
  NOPERM: 'the user of the store may not do what is needed; see docs/security.md for the smallest ACL',
  LOADING: 'the store is still loading its data',
};

function replyOf(error: unknown): string | undefined {
  const reply = error instanceof Error ? /^[A-Z]+/.exec(error.message)?.[0] : undefined;
  return reply !== undefined && Object.hasOwn(REPLIES, reply) ? `${REPLIES[reply]} (${reply})` : undefined;
}

/** An error as an operator may read it. While there is no connection, why there is none. */
function inWords(error: unknown, failed: unknown): unknown {
  const offline = error instanceof Error && error.message === 'The client is offline';
  const said = replyOf(error) ?? (offline ? lateBecause(failed) : undefined);
  return said === undefined ? error : new Error(said);
}

/** Why there is no answer by the deadline. Of an error only its code is told: a message may quote what was sent. */
function lateBecause(failed: unknown): string {
  const said = replyOf(failed);
  if (said !== undefined) return said;
  const code = typeof failed === 'object' && failed !== null && 'code' in failed ? String(failed.code) : undefined;
  if (code === undefined) return 'the store did not answer in time';
  const text = TLS_ERRORS.find(([codes]) => codes.test(code))?.[1] ?? 'no connection to the store';
  return `${text} (${code})`;
}

function clientOptions({ url, sentinel, cluster, username, password, caFile, timeoutMs }: RedisOptions): object {
  const ca = caFile === undefined ? undefined : readCaFile(caFile, 'store.redis.ca_file');
  const common = {
    disableOfflineQueue: true,
    commandsQueueMaxLength: MOST_WAITING,
    // A peer that went away without a word is noticed after a few of these pings.
    pingInterval: Math.max(1000, timeoutMs),
    ...(username && { username: username.reveal() }),
    ...(password && { password: password.reveal() }),
  };
  const socket = (tls: boolean) => ({
    connectTimeout: timeoutMs,
    socketTimeout: 5 * Math.max(1000, timeoutMs),
    reconnectStrategy: (attempts: number) => Math.min(50 * 2 ** attempts, 1000),
    // The certificate is verified against the name or address that is connected to.
    ...(tls && { tls: true as const, ...(ca && { ca }) }),
  });
  const secure = (address: string) => new URL(address).protocol === 'rediss:';
  if (sentinel) {
    const tls = sentinel.tls === true;
    if (ca && !tls) throw new OperatorError('store.redis.ca_file: set sentinel.tls, or nothing is encrypted');
    return {
      name: sentinel.name,
      sentinelRootNodes: sentinel.nodes,
      nodeClientOptions: { ...common, socket: socket(tls) },
      sentinelClientOptions: { socket: socket(tls) },
      masterPoolSize: 1,
      scanInterval: 1000,
    };
  }
  const addresses = cluster ? cluster.nodes : [url as string];
  if (ca && !addresses.every(secure))
    throw new OperatorError('store.redis.ca_file: use rediss://, or nothing is encrypted');
  if (cluster) {
    const tls = cluster.nodes.some(secure);
    return { rootNodes: cluster.nodes.map((node) => ({ url: node })), defaults: { ...common, socket: socket(tls) } };
  }
  return { url, ...common, socket: socket(secure(url as string)) };
}
