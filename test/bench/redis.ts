// The rows with Redis: the ratio to the pass-through, CPU on one replica and on two, and whether a call
// costs more when there are many sessions or a long history.

import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createClient } from '@keyv/redis';
import { KEYS_ISSUER } from '../../src/identity/keys.ts';
import { openKeyring } from '../../src/keyring/keyring.ts';
import { rowOf } from '../../src/store/redis/sessions/row.ts';
import { createRedisStore } from '../../src/store/redis/store.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { clientId, ref } from '../support/refs.ts';
import type { Length } from './load.ts';
import { cpuOf, type Governed, governedServer } from './processes.ts';
import { median, type Row, rounded, type Show } from './row.ts';

export interface RedisRowsOptions {
  legacyUrl: string;
  rounds: number;
  sessions: number;
  history: number;
  warmUp: number;
  run: (name: string, url: string, key: string | undefined, concurrency: number, length?: Length) => Promise<Row>;
  show: Show;
}

const refOf = (id: string) =>
  createHash('sha256')
    .update(JSON.stringify([KEYS_ISSUER, id, id]))
    .digest('hex');

/** A Redis of the benchmark's own; without one on PATH, says what is left out. */
export async function startRedisOf(what: string): Promise<TestRedis | undefined> {
  const program = ['redis-server', 'valkey-server']
    .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)))
    .find((file) => existsSync(file));
  if (program !== undefined) return startRedis(program);
  console.log(`${what} are left out: redis-server (or valkey) is not on PATH.`);
  return undefined;
}

export async function redisRows(options: RedisRowsOptions): Promise<void> {
  const { legacyUrl, rounds, sessions, history, warmUp, run, show } = options;
  const small = await startRedisOf('the rows with Redis');
  if (!small) return;
  const large = (await startRedisOf('')) as TestRedis;
  try {
    const first = await governedServer({ legacyUrl, redisUrl: small.url });
    const second = await governedServer({ legacyUrl, redisUrl: small.url, beside: first });
    const crowded = await governedServer({ legacyUrl, redisUrl: large.url });
    await fill(large.url, sessions);
    await fill(small.url, 9);
    await remember(small.url, join(first.dir, 'keyring.json'), refOf('old-hand'), history);
    for (const { url, keys } of [first, second, crowded]) {
      await run('warm-up', url, keys.bench, 32, { amount: warmUp });
      await run('warm-up', url, keys['old-hand'], 1, { amount: 500 });
    }

    // Every replica gets the same load, so that the rows show the cost of sharing and not of smaller batches.
    const EACH = 16;
    const cost = async (replicas: Governed[], name: string): Promise<Row> => {
      const before = replicas.reduce((sum, { pid }) => sum + cpuOf(pid), 0);
      const rows = await Promise.all(replicas.map(({ url, keys }) => run(name, url, keys.bench, EACH)));
      const after = replicas.reduce((sum, { pid }) => sum + cpuOf(pid), 0);
      const calls = rows.reduce((sum, row) => sum + row.calls, 0);
      const perSecond = rows.reduce((sum, row) => sum + row.per_second, 0);
      return {
        ...(rows[0] as Row),
        concurrency: EACH * replicas.length,
        per_second: perSecond,
        cpu_us_per_call: rounded((after - before) / calls, 0),
      };
    };
    const costPair = async (single: Governed, other: Governed, names: [string, string]): Promise<void> => {
      const costs: { one: Row; two: Row; ratio: number }[] = [];
      for (let i = 0; i < rounds; i++) {
        const one = await cost([single], names[0]);
        const two = await cost([single, other], names[1]);
        costs.push({ one, two, ratio: (two.cpu_us_per_call ?? 0) / (one.cpu_us_per_call ?? 1) });
      }
      const { one, two, ratio } = median(costs, (each) => each.ratio);
      show(one);
      show({ ...two, ratio: rounded(ratio), compared_to: one.name });
    };
    await costPair(first, second, ['one replica', 'two replicas']);
    // For comparison: what two busy processes cost each other on this machine when they share nothing.
    const [alone, stranger] = [await governedServer({ legacyUrl }), await governedServer({ legacyUrl })];
    for (const { url, keys } of [alone, stranger]) await run('warm-up', url, keys.bench, 32, { amount: warmUp });
    await costPair(alone, stranger, ['one connector in memory', 'two that share nothing']);

    const compare = async (a: () => Promise<Row>, b: () => Promise<Row>): Promise<void> => {
      const both: { before: Row; after: Row; ratio: number }[] = [];
      for (let i = 0; i < rounds; i++) {
        const [before, after] = [await a(), await b()];
        both.push({ before, after, ratio: after.p50_us / before.p50_us });
      }
      const { before, after, ratio: change } = median(both, (each) => each.ratio);
      show(before);
      show({ ...after, ratio: rounded(change), compared_to: before.name });
    };
    await compare(
      () => run('10 live sessions', first.url, first.keys.bench, 1),
      () => run(`${sessions} live sessions`, crowded.url, crowded.keys.bench, 1),
    );
    await compare(
      () => run('short history', first.url, first.keys.bench, 1),
      () => run(`${history} calls of history`, first.url, first.keys['old-hand'], 1),
    );
  } finally {
    await small.stop();
    await large.stop();
  }
}

/** Fills the store with sessions of other clients, in the form in which the connector stores them. */
async function fill(url: string, count: number): Promise<void> {
  const client = createClient({ url });
  await client.connect();
  for (let at = 0; at < count; at += 1000) {
    const batch = client.multi();
    for (let i = at; i < Math.min(count, at + 1000); i++) {
      const owner = createHash('sha256').update(`other-${i}`).digest('hex');
      const value = {
        id: randomBytes(16).toString('base64url'),
        backend: 'inventory',
        owner: ref(owner),
        generation: 3,
        login: 1,
        serial: Date.now(),
        createdAt: Date.now(),
        issuedAt: Date.now(),
        sinceRevocation: 0,
        epoch: 'e',
        issuer: 'keys',
        account: '',
        bound: {
          client_id: clientId(`c-${i}`),
          subject: `s-${i}`,
          key: null,
          ipv4: { ip: '10.0.0.1', network: '10.0.0.0/24' },
          ipv6: null,
        },
        fingerprint: randomBytes(16).toString('hex'),
        tokenFingerprint: randomBytes(16).toString('hex'),
        sealed: `k.${randomBytes(200).toString('base64url')}`,
      };
      batch.set(`sallyport:2:{${owner}}:session:inventory`, rowOf(value));
    }
    await batch.exec();
  }
  client.destroy();
}

/** Gives one client a history of `calls` calls, counted by the same store script that counts every call. */
async function remember(url: string, ring: string, client: string, calls: number): Promise<void> {
  const keyring = openKeyring({ source: { file: ring }, clock: { now: Date.now }, shared: true });
  keyring.close();
  const store = await createRedisStore({
    url,
    timeoutMs: 60_000,
    prefix: 'sallyport',
    ttlMs: 86_400_000,
    clock: { now: Date.now },
    time: () => '',
    keyring: keyring.name,
    maxSkewMs: 30_000,
    remembered: undefined,
    onEpoch: () => {},
    onEviction: () => {},
    onOtherKeyring: () => {},
    onWentBack: () => {},
    onSkew: () => {},
  });
  const began = Date.now();
  for (let at = 0; at < calls; at += 1000) {
    const names = Array.from({ length: Math.min(1000, calls - at) }, (_, i) => `h-${at + i}`);
    // Only a few calls run at a time: waiting calls count as in flight, and no client has a thousand of those.
    for (let i = 0; i < names.length; i += 20) {
      const few = names.slice(i, i + 20);
      await Promise.all(
        few.map(async (call) => {
          await store.facts.observe({ call, owner: ref(client), network: '127.0.0.0/24', rpc: null, backend: null });
          await store.facts.finished(ref(client), call, { denied: false });
        }),
      );
    }
    if (Date.now() - began > 10_000 && at % 50_000 === 0) process.stderr.write(`history: ${at} of ${calls} calls\n`);
  }
  await store.close();
}
