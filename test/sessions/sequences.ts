// Random sequences of all that opens, replaces or ends a backend session, on one and on two replicas. Replicas are real
// processes, and a kill is a kill.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { keysAdd, keysRetire } from '../../src/cli/keys.ts';
import { messageOf } from '../../src/core/errors.ts';
import { createKeyringFile, readKeyring, writeKeyring } from '../../src/keyring/keyring.ts';
import { until } from '../support/harness.ts';
import { type Cluster, type Replica, startCluster } from '../support/replicas.ts';
import { onRecord, openLogins, readStore, unknownLogins } from './invariant.ts';

/** One step: what is done, by which of two clients, at which of the replicas. */
export interface Operation {
  kind: (typeof KINDS)[number];
  who: number;
  where: number;
}

const KINDS = [
  'call',
  'crowd',
  'rotate',
  'move',
  'renew beside',
  'renew instead',
  'renew never',
  'refusal with a copy',
  'failure',
  'dropped answer',
  'hang up',
  'abandoned login',
  'expiry',
  'revoke',
  'revoke all',
  'kill',
  'kill in a call',
  'add a key',
  'retire a key',
  'flush',
  'clock',
  'another keyring',
] as const;

export interface RunOptions {
  redisProgram: string;
  seconds: number;
  seed: number;
  say?: (line: string) => void;
}

export interface Ran {
  sequences: number;
  operations: number;
  /** Undefined when every sequence kept the invariant. */
  failure: string | undefined;
}

/** How long one sequence and its shrinking may take, in milliseconds. */
const SHRINK_MS = 240_000;

/** What the clock of each of the first two replicas is ahead, in milliseconds. */
const clockOf = ({ dir }: Pick<Cluster, 'dir'>, where: number): string => join(dir, `clock-${where % 2}`);

/** Writes a module that moves the clock of the process that imports it by what stands in a file. */
function movableClock(dir: string, index: number): string {
  const module = join(dir, `clock-${index % 2}.mjs`);
  const file = JSON.stringify(clockOf({ dir }, index));
  writeFileSync(
    module,
    `import { readFileSync } from 'node:fs';
let ahead = 0;
const now = Date.now;
Date.now = () => now() + ahead;
setInterval(() => {
  try {
    ahead = Number(readFileSync(${file}, 'utf8'));
  } catch {}
}, 100).unref();
`,
  );
  return module;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const NO_FAULT = { renewIds: false, keepOldIds: false, copyOnRefusal: false, latencyMs: 0, failure: null } as const;

/** Runs sequences for so many seconds, and shrinks the first that breaks the invariant. */
export async function runSequences({ redisProgram, seconds, seed, say = () => {} }: RunOptions): Promise<Ran> {
  const cluster = await startCluster({
    redisProgram,
    settings: (yaml) =>
      yaml
        .replace('token_age: { limit_seconds: 300', 'token_age: { limit_seconds: 1')
        .replace(/(calls_per_minute|calls_per_hour|in_flight|denials_per_hour): \d+/g, '$1: 1000000'),
    edit: (yaml) => yaml.replace('timeout_ms: 5000', 'timeout_ms: 600\n    drain_ms: 100'),
    argsOf: (dir, index) => ['--import', movableClock(dir, index)],
  });
  const ran: Ran = { sequences: 0, operations: 0, failure: undefined };
  const world = createWorld(cluster);
  const end = Date.now() + seconds * 1000;
  const operation = fc.record({ kind: fc.constantFrom(...KINDS), who: fc.nat(1), where: fc.nat(1) });
  const sequence = fc.tuple(fc.integer({ min: 1, max: 2 }), fc.array(operation, { minLength: 4, maxLength: 16 }));
  try {
    for (let i = 0; i === 0 || Date.now() < end; i++) {
      const property = fc.asyncProperty(sequence, async ([replicas, operations]) => {
        const began = Date.now();
        await world.begin(replicas);
        try {
          for (const each of operations) {
            await world.run(each);
            ran.operations += 1;
            await world.check(each.kind);
          }
          await world.finish();
        } catch (thrown) {
          say(`      broken, looking for a shorter sequence: ${messageOf(thrown)}`);
          throw thrown;
        }
        ran.sequences += 1;
        const size = `${replicas} replica${replicas > 1 ? 's' : ''}, ${operations.length} operations`;
        say(`${String(ran.sequences).padStart(4)}  ${size}, ${Date.now() - began} ms`);
      });
      // A sequence takes seconds, so that what fails is shrunk for a few minutes at most.
      const result = await fc.check(property, { seed: seed + i, numRuns: 1, interruptAfterTimeLimit: SHRINK_MS });
      if (!result.failed || result.counterexample === null) continue;
      const why = result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance);
      ran.failure = `${why}\nseed ${seed + i}, shrunk ${result.numShrinks} times to:\n${JSON.stringify(result.counterexample)}`;
      break;
    }
  } finally {
    await cluster.close();
  }
  return ran;
}

function createWorld(cluster: Cluster) {
  const ring = join(cluster.dir, 'keyring.json');
  /** Every sealing key that was ever in the keyring. */
  const keys = new Map<string, string>();
  const at: Replica[] = [...cluster.replicas];
  let tokens: string[] = [];
  let run = 0;
  let recordsBefore = 0;
  let replicas = 2;

  const noteKeys = () => {
    for (const { id, key } of readKeyring(ring).sealing) keys.set(id, key);
  };
  const replica = (where: number) => at[where % replicas] as Replica;
  const auth = (who: number) => ({ headers: { authorization: `Bearer ${tokens[who]}` } });
  const call = (who: number, where: number, tool = 'stock_list', args = {}, more = {}) =>
    cluster.call(replica(where), tool, args, { ...auth(who), ...more }).catch(() => undefined);
  const revoke = (selector: object, where = 0) =>
    fetch(new URL('/revocations', replica(where).adminUrl), {
      method: 'POST',
      headers: { authorization: `Bearer ${cluster.adminToken}` },
      body: JSON.stringify({ ...selector, reason: 'a test' }),
    });
  async function restart(where: number): Promise<void> {
    const old = replica(where);
    const index = at.indexOf(old);
    at[index] = await cluster.start({ again: old });
  }

  const operations: Record<Operation['kind'], (who: number, where: number) => Promise<unknown>> = {
    call: (who, where) => call(who, where),
    crowd: (who) => Promise.all(Array.from({ length: 6 }, (_, i) => call(who, i))),
    async rotate(who, where) {
      await sleep(1050);
      await call(who, where);
    },
    move: (who, where) => call(who, where, 'stock_list', {}, { ip: '192.0.2.77' }),
    'renew beside': async () => cluster.legacy.inject({ renewIds: true, keepOldIds: true }),
    'renew instead': async () => cluster.legacy.inject({ renewIds: true, keepOldIds: false }),
    'renew never': async () => cluster.legacy.inject({ renewIds: false }),
    async 'refusal with a copy'(who, where) {
      cluster.legacy.inject({ copyOnRefusal: true });
      await call(who, where, 'stock_adjust', { sku: 'A-1', delta: 1 });
      cluster.legacy.inject({ copyOnRefusal: false });
    },
    async failure(who, where) {
      cluster.legacy.inject({ failure: 500 });
      await call(who, where);
      cluster.legacy.inject({ failure: null });
    },
    async 'dropped answer'(who, where) {
      cluster.legacy.inject({ failure: 'drop' });
      await call(who, where);
      cluster.legacy.inject({ failure: null });
    },
    async 'hang up'(who, where) {
      cluster.legacy.inject({ latencyMs: 150 });
      const gone = new AbortController();
      const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'stock_list', arguments: {} } };
      const sent = fetch(replica(where).url, {
        method: 'POST',
        signal: gone.signal,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...auth(who).headers,
        },
        body: JSON.stringify(body),
      }).catch(() => undefined);
      await sleep(60);
      gone.abort();
      await sent;
      await sleep(200);
      cluster.legacy.inject({ latencyMs: 0 });
    },
    async 'abandoned login'(who, where) {
      await revoke({ subject: subjectOf(who) }, where);
      // The password is accepted, but its answer does not come in time.
      cluster.legacy.inject({ latencyMs: 450 });
      await Promise.all([call(who, where), sleep(500).then(() => cluster.legacy.inject({ latencyMs: 900 }))]);
      cluster.legacy.inject({ latencyMs: 0 });
      await sleep(900);
    },
    expiry: async () => cluster.legacy.endAllSessions(),
    revoke: (who, where) => revoke({ subject: subjectOf(who) }, where),
    'revoke all': (_who, where) => revoke({ all: true }, where),
    async kill(_who, where) {
      await replica(where).kill();
      await restart(where);
    },
    async 'kill in a call'(who, where) {
      cluster.legacy.inject({ latencyMs: 40 });
      const lost = Promise.all([call(who, where), call(1 - who, where)]);
      await sleep(30 + 37 * ((who + where + run) % 4));
      await replica(where).kill();
      await lost;
      cluster.legacy.inject({ latencyMs: 0 });
      await restart(where);
    },
    async 'add a key'() {
      await quietly(() => keysAdd({ file: ring, delaySeconds: '0' }));
      noteKeys();
      // Every replica looks at the file once a second.
      await sleep(1200);
    },
    async 'retire a key'() {
      const [first, ...more] = readKeyring(ring).sealing;
      if (first && more.length > 0) await quietly(() => keysRetire(first.id, { file: ring }));
      await sleep(1200);
    },
    async clock(who, where) {
      // An hour ahead, an hour back, or right again; in the middle of a rotation when the token is a second old.
      writeFileSync(clockOf(cluster, where), String([3_600_000, -3_600_000, 0, 90_000][(who + where + run) % 4]));
      await sleep(600);
      const calls = [call(who, where), call(who, where + 1)];
      writeFileSync(clockOf(cluster, where), '0');
      await Promise.all(calls);
    },
    async 'another keyring'(who) {
      const file = join(cluster.dir, 'another-keyring.json');
      writeKeyring(file, createKeyringFile(new Date()));
      const other = await cluster.start({
        change: (yaml) => yaml.replace(/keyring_file: .*/, `keyring_file: ${file}`),
      });
      await cluster.call(other, 'stock_list', {}, auth(who)).catch(() => undefined);
      await other.stop();
    },
    async flush() {
      await cluster.redis.command('FLUSHALL');
      await sleep(500);
    },
  };
  const subjectOf = (who: number): string => `user-${who}-${run}`;

  /** Fails when something lives of which nobody knows: neither the store, nor a log, nor an entry of an open login. */
  async function check(after: string): Promise<void> {
    let last = '';
    // Calls and logouts that are still under way may change what was just counted, so it is counted again.
    const holds = async (): Promise<boolean> => {
      const known = await readStore(cluster, keys);
      const unknown = unknownLogins(cluster, known);
      const open = openLogins(cluster, known);
      const recorded = onRecord(cluster) - recordsBefore;
      const logins = new Set([...unknown].map((each) => each.split(' ')[0]));
      last = `${unknown.size} values of ${logins.size} logins live unknown to the store after "${after}"; on record ${recorded}, logins under way ${known.loginsUnderWay}, open logins without a row ${open.length}`;
      return logins.size <= recorded + known.loginsUnderWay + open.length;
    };
    await until(holds, 'the invariant', 3000).catch(() => {
      throw new Error(last);
    });
  }

  return {
    async begin(count: number): Promise<void> {
      run += 1;
      replicas = count;
      noteKeys();
      cluster.legacy.inject(NO_FAULT);
      cluster.legacy.endAllSessions();
      recordsBefore = onRecord(cluster);
      tokens = await Promise.all([0, 1].map((who) => cluster.issuer.token({ sub: subjectOf(who) })));
    },
    run: ({ kind, who, where }: Operation) => operations[kind](who, where),
    check,
    /** After a revocation of all nothing lives but what is on record. */
    async finish(): Promise<void> {
      cluster.legacy.inject(NO_FAULT);
      replicas = 2;
      await revoke({ all: true });
      let last = '';
      const over = async (): Promise<boolean> => {
        const known = await readStore(cluster, keys);
        const left = new Set(cluster.legacy.stats().live.map(({ login }) => login)).size;
        const recorded = onRecord(cluster) - recordsBefore;
        const open = openLogins(cluster, known).length;
        last = `${left} logins live after the end, ${known.ids.size} in the store, ${known.loginsUnderWay} logins under way; on record ${recorded}, open ${open}`;
        return known.ids.size === 0 && known.loginsUnderWay === 0 && left <= recorded + open;
      };
      await until(over, 'the end', 90_000).catch(() => {
        throw new Error(last);
      });
    },
  };
}

/** Commands print what they did; here nobody reads it. */
async function quietly(work: () => void): Promise<void> {
  const { write } = process.stdout;
  process.stdout.write = () => true;
  try {
    work();
  } finally {
    process.stdout.write = write;
  }
}
