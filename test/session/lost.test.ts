// What the store has lost or somebody has changed: sessions, revocations, clocks. Everything is on record.
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { createSealer } from '../../src/keyring/sealing.ts';
import { revokedSince } from '../../src/session/control.ts';
import { keepRevocations } from '../../src/store/kept-revocations.ts';
import { createMemoryControl } from '../../src/store/memory/control.ts';
import { createMemoryStore } from '../../src/store/memory/store.ts';
import { openEntriesFile } from '../../src/store/open-entries-file.ts';
import { createTestClock } from '../support/clock.ts';
import { redisStore } from '../support/redis.ts';
import { clientId, ref } from '../support/refs.ts';
import {
  acquired,
  backend,
  clock,
  events,
  keys,
  live,
  manager,
  noted,
  observed,
  onMemory,
  onRedis,
  prefix,
  redis,
  replica,
  request,
  sessions,
  store,
  stored,
} from '../support/sessions.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-lost-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const unexpected = (problem: string) => {
  throw new Error(problem);
};

onMemory(() => {
  it('R-95: what ends with a process that was killed is on record when it starts again, each login once', async () => {
    const path = join(dir, 'open-logins.jsonl');
    const start = () => {
      const own = createMemoryStore({ clock, clients: 10, sessions: 10, ttlMs: 3_600_000 });
      return {
        own,
        manager: manager(own, { entries: openEntriesFile(path, unexpected) }),
      };
    };
    const first = start();
    for (const owner of ['a', 'b'])
      (
        await acquired(first.manager.acquire(request(owner), await observed(owner, first.manager, first.own)))
      ).release();
    await first.manager.revoke(backend, ref('b'), 'test');
    await first.manager.settled();
    // A crash in the middle of a line.
    appendFileSync(path, '{"open":{"backend":"b"');
    const second = start();
    await second.manager.sweep();
    await second.manager.sweep();
    const lost = events.filter(({ type }) => type === 'session_lost');
    expect(lost).toMatchObject([{ entry: { owner: 'a', login: 1 }, cause: 'store.lost' }]);
    expect(openEntriesFile(path, unexpected).all()).toEqual([]);
    expect(readFileSync(path, 'utf8')).not.toContain('token-1');
  });

  it('R-95: a session whose end is on record leaves no open login', async () => {
    const entries = noted();
    const own = manager(store, { entries });
    (await acquired(own.acquire(request(), await observed()))).release();
    expect(entries.all()).toHaveLength(1);
    (await acquired(own.rotate(request(), await observed(), 'age'))).release();
    await own.settled();
    expect(entries.all()).toMatchObject([{ login: 2 }]);
    await own.close();
    expect(entries.all()).toEqual([]);
  });
});

onRedis(() => {
  it('R-28, R-42: what a retired key has sealed is logged out, and nothing else', async () => {
    const ring = [...keys];
    const source = { ring: ring as { id: string; secret: Secret<Buffer>; retired?: true }[] };
    const own = manager(store, { sealer: createSealer(() => source.ring, 'session') });
    (await acquired(own.acquire(request('old'), await observed('old', own)))).release();
    const added = { id: 'new', secret: new Secret(Buffer.alloc(32, 1)) };
    source.ring = [added, ...ring];
    (await acquired(own.acquire(request('young'), await observed('young', own)))).release();
    source.ring = [added, ...ring.map((key) => ({ ...key, retired: true as const }))];
    await own.sweep();
    await own.settled();
    expect(live).toEqual(new Set(['token-2']));
    expect(events.at(-1)).toMatchObject({ type: 'session_ended', proof: 'dead' });
  });

  it('R-80: a rotation is not satisfied by a renewal of the same login', async () => {
    const session = await acquired(sessions.acquire(request(), await observed()));
    const seen = await observed();
    live.add('renewed');
    await sessions.changed(session, { renewed: new Secret({ cookies: [], values: { id: 'renewed' } }) }, false);
    session.release();
    const rotated = await acquired(sessions.rotate(request(), seen, 'too old'));
    rotated.release();
    expect(rotated.record).toMatchObject({ generation: 3, login: 3 });
    await sessions.settled();
    expect(live.size).toBe(1);
  });

  it('R-85: a row that vanished is noticed by who has seen it, and its session is logged out', async () => {
    (await acquired(sessions.acquire(request(), await observed()))).release();
    await observed();
    await redis.command('DEL', `${prefix}:2:{owner}:session:b`);
    const now = await observed();
    expect(now).toMatchObject({ record: undefined, forgotten: true });
    await sessions.settled();
    expect(live.size).toBe(0);
    expect(events.some(({ type }) => type === 'session_rolled_back')).toBe(true);
  });

  it('R-85: a session that another replica has ended or opened anew is no loss', async () => {
    const other = await replica();
    (await acquired(sessions.acquire(request(), await observed()))).release();
    await observed();
    await other.manager.revoke(backend, ref('owner'), 'test');
    expect(await observed()).not.toHaveProperty('forgotten');
    (await acquired(other.manager.acquire(request(), await observed('owner', other.manager, other.store)))).release();
    const seen = await observed();
    expect(seen.forgotten).toBeUndefined();
    expect(seen.record).toMatchObject({ generation: 1 });
    expect(await stored()).toBeDefined();
  });

  it('R-83: stamps are of the store, whatever the clock of a replica; beyond the bound it is told once', async () => {
    const wrong = createTestClock(clock.now() + 3_600_000);
    const told: [boolean, number][] = [];
    const ahead = await redisStore(redis, wrong, {
      prefix,
      time: () => String(clock.now()),
      onSkew: (agrees, skewMs) => void told.push([agrees, skewMs]),
    });
    const observation = { call: 'x', owner: ref('c'), network: 'n/24', rpc: null, backend: null };
    expect((await ahead.facts.observe(observation)).now).toBe(clock.now());
    expect(ahead.clock.now()).toBe(clock.now());
    expect(Number.isSafeInteger(ahead.clock.now())).toBe(true);
    expect(ahead.clockAgrees).toBe(false);
    expect(told).toEqual([[false, -3_600_000]]);
    clock.advance(90);
    const later = await store.facts.observe({ ...observation, call: 'y' });
    expect(later.usage).toMatchObject({ calls_1m: 1, calls_1h: 2, seconds_since_last_call: 90 });
    await ahead.close();
  });

  it('R-83, R-29: a store whose clock goes back by more than a minute begins a new epoch, by less it does not', async () => {
    const { epoch } = await store.control.read(0);
    clock.advance(-50);
    expect((await store.control.read(0)).epoch).toBe(epoch);
    clock.advance(-50);
    expect(await store.control.read(0)).toMatchObject({ lost: true });
    expect((await store.control.read(0)).epoch).not.toBe(epoch);
  });

  it('R-84: calls of a replica that has no lease any more are not in flight', async () => {
    const dead = await replica();
    const at = (call: string) => ({ call, owner: ref('c'), network: 'n/24', rpc: null, backend: null });
    await dead.store.facts.observe(at('lost'));
    expect((await store.facts.observe(at('one'))).usage.in_flight).toBe(2);
    await dead.store.close();
    clock.advance(5);
    await store.control.read(0);
    expect((await store.facts.observe(at('two'))).usage.in_flight).toBe(2);
  });
});

describe('R-28: revocations in the state folder', () => {
  const whom = { client: clientId('a'), subject: 's', issuer: 'i' };
  const keep = (problems: string[] = []) => {
    let back = 0;
    const control = createMemoryControl(createTestClock());
    const kept = keepRevocations({
      control,
      path: join(dir, 'revocations.json'),
      onWentBack: () => void back++,
      onManyRevocations: () => {},
      onProblem: (problem) => void problems.push(problem),
    });
    return { control, kept, back: () => back };
  };

  it('hold over a restart, with the number they had', async () => {
    const first = keep();
    await first.kept.revoke({ client: clientId('a') });
    const { lastRevocation } = await first.kept.read(0);
    const state = await keep().kept.read(0);
    expect(revokedSince(state, lastRevocation - 1, whom)).toBe(true);
    expect(revokedSince(state, lastRevocation, whom)).toBe(false);
    expect(state.lastRevocation).toBe(lastRevocation);
  });

  it('are given back to a store that has forgotten them in the same epoch, which is told', async () => {
    const { control, kept, back } = keep();
    await kept.revoke({ client: clientId('a') });
    const { read } = control;
    // The store answers once as if it had never heard of it.
    let forgets = true;
    control.read = async (age) => {
      const state = await read(age);
      if (!forgets) return state;
      forgets = false;
      return { ...state, revocations: new Map() };
    };
    expect(revokedSince(await kept.read(0), 0, whom)).toBe(true);
    expect(back()).toBe(1);
  });

  it('that cannot be read are reported, and those of the store hold', async () => {
    writeFileSync(join(dir, 'revocations.json'), '{"version":1,"revocations":{"all":"x"}}');
    const problems: string[] = [];
    const { kept } = keep(problems);
    expect(problems).toEqual([expect.stringContaining('revocations.json')]);
    await kept.revoke({ subject: 's' });
    expect(revokedSince(await kept.read(0), 0, whom)).toBe(true);
  });
});
