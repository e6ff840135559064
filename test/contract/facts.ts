// The contract of the facts port. Every adapter runs this one suite.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../src/facts/port.ts';
import { epochMark } from '../../src/session/control.ts';
import type { Store } from '../../src/store/store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { ref } from '../support/refs.ts';
import { sessionRecord } from './session-store.ts';

let calls = 0;
const at = (changes: Partial<Observation> = {}): Observation => ({
  call: `call-${++calls}`,
  owner: ref('c'),
  network: '10.0.0.0/24',
  rpc: null,
  backend: null,
  ...changes,
});

export function factsContract(name: string, create: (clock: TestClock) => Promise<Store>): void {
  const start = async () => {
    const clock = createTestClock();
    const store = await create(clock);
    /** The mark of the present epoch, with which a handle is minted. */
    const mark = async () => epochMark((await store.control.read(0)).epoch);
    return { clock, store, facts: store.facts, mark };
  };

  describe(`facts: ${name}`, () => {
    it('R-37: 200 observations at once are counted one by one', async () => {
      const { facts } = await start();
      const seen = await Promise.all(Array.from({ length: 200 }, () => facts.observe(at())));
      expect(seen.map((f) => f.usage.calls_1m).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 200 }, (_, i) => i + 1),
      );
      expect(Math.max(...seen.map((f) => f.usage.in_flight))).toBe(200);
    });

    it('R-94: the use of a session is told without counting anything', async () => {
      const { clock, store, facts } = await start();
      const key = { owner: ref('c'), backend: 'b' };
      expect(await facts.sessionUse(key)).toBeUndefined();
      const seen = await store.sessions.get(key);
      const lock = await store.sessions.lockLogin(key, seen, 10_000);
      if (lock.kind !== 'locked') throw new Error(lock.kind);
      const record = sessionRecord(1, key);
      await store.sessions.commit(key, lock.lockId, seen, record, clock.now());
      await facts.observe(at({ backend: 'b' }));
      clock.advance(5);
      await facts.observe(at({ backend: 'b' }));
      const use = { id: record.id, uses: 3, lastUsed: clock.now() };
      expect(await facts.sessionUse(key)).toMatchObject(use);
      expect(await facts.sessionUse(key)).toMatchObject(use);
      expect(await facts.sessionUse({ ...key, backend: 'other' })).toBeUndefined();
    });

    it('counts calls of the last minute and hour, denials, and calls in flight', async () => {
      const { clock, facts } = await start();
      await facts.observe(at({ call: 'first' }));
      await facts.finished(ref('c'), 'first', { denied: true });
      clock.advance(59);
      expect((await facts.observe(at())).usage).toMatchObject({
        calls_1m: 2,
        calls_1h: 2,
        denials_1h: 1,
        in_flight: 1,
        seconds_since_last_call: 59,
      });
      clock.advance(2);
      expect((await facts.observe(at())).usage).toMatchObject({ calls_1m: 2, calls_1h: 3, in_flight: 2 });
      clock.advance(3600);
      expect((await facts.observe(at())).usage).toMatchObject({ calls_1m: 1, calls_1h: 1, denials_1h: 0 });
    });

    it('when the clock steps back, no call is forgotten and none is counted twice', async () => {
      const { clock, facts } = await start();
      await facts.observe(at());
      clock.advance(-3600);
      expect((await facts.observe(at())).usage).toMatchObject({ calls_1m: 2, seconds_since_last_call: 0 });
      clock.advance(3600);
      expect((await facts.observe(at())).usage.calls_1m).toBe(3);
    });

    it('R-21: idle time and uses count from the login, which was the first use', async () => {
      const { clock, store, facts } = await start();
      const key = { owner: ref('c'), backend: 'b' };
      const put = async (id: string, generation: number) => {
        const seen = await store.sessions.get(key);
        const lock = await store.sessions.lockLogin(key, seen, 1000);
        if (lock.kind !== 'locked') throw new Error(lock.kind);
        const record = sessionRecord(generation, { ...key, id, issuedAt: clock.now() });
        expect(await store.sessions.commit(key, lock.lockId, seen, record, 0)).toBe(true);
      };
      const used = async () => (await facts.observe(at({ backend: 'b' }))).session;
      expect(await used()).toBeNull();
      await put('s', 1);
      clock.advance(5000);
      expect(await used()).toEqual({ idle_seconds: 5000, token_uses: 1 });
      clock.advance(30);
      expect(await used()).toEqual({ idle_seconds: 30, token_uses: 2 });
      await put('s', 2);
      clock.advance(5);
      const seen = await facts.observe(at({ backend: 'b' }));
      expect(seen.session).toEqual({ idle_seconds: 5, token_uses: 1 });
      expect(seen.storedSession).toMatchObject({ record: { id: 's', generation: 2 }, revocations: 0 });
      await put('other', 1);
      clock.advance(7);
      expect(await used()).toEqual({ idle_seconds: 7, token_uses: 1 });
      expect((await facts.observe(at())).session).toBeNull();
    });

    it('calls in flight are counted, and calls of a dead replica are dropped after a while', async () => {
      const { clock, facts } = await start();
      await facts.observe(at({ call: 'first' }));
      const second = await facts.observe(at());
      expect(second.usage.in_flight).toBe(2);
      await facts.finished(ref('c'), 'first', { denied: false });
      await facts.finished(ref('c'), 'first', { denied: false });
      expect((await facts.observe(at())).usage.in_flight).toBe(2);
      clock.advance(900);
      expect((await facts.observe(at())).usage.in_flight).toBe(1);
    });

    it('R-25: a drain waits for the calls that may have observed the session, not for later calls', async () => {
      const { facts, store } = await start();
      expect(await store.sessions.drained(ref('c'), 60)).toBe(true);
      await facts.observe(at({ call: 'early' }));
      const drained = store.sessions.drained(ref('c'), 20_000);
      await facts.observe(at());
      await facts.finished(ref('c'), 'early', { denied: false });
      expect(await drained).toBe(true);
      expect(await store.sessions.drained(ref('c'), 60)).toBe(false);
    });

    it('R-80: a renewal by the backend is not a login, so the count of uses goes on', async () => {
      const { clock, store, facts } = await start();
      const key = { owner: ref('c'), backend: 'b' };
      const lock = await store.sessions.lockLogin(key, { record: undefined, revocations: 0 }, 1000);
      if (lock.kind !== 'locked') throw new Error(lock.kind);
      const first = sessionRecord(1, { ...key, issuedAt: clock.now() });
      await store.sessions.commit(key, lock.lockId, { record: undefined, revocations: 0 }, first, 0);
      const used = async () => (await facts.observe(at({ backend: 'b' }))).session;
      clock.advance(5);
      expect(await used()).toEqual({ idle_seconds: 5, token_uses: 1 });
      for (const generation of [2, 3]) {
        await store.sessions.replace(key, { id: first.id, generation: generation - 1 }, { ...first, generation });
        clock.advance(5);
        expect(await used()).toEqual({ idle_seconds: 5, token_uses: generation });
      }
      const login = { ...first, generation: 4, login: 4, issuedAt: clock.now() };
      await store.sessions.replace(key, { id: first.id, generation: 3 }, login);
      clock.advance(5);
      expect(await used()).toEqual({ idle_seconds: 5, token_uses: 1 });
    });

    it('R-17: of 50 concurrent uses of one id exactly one counts as new', async () => {
      const { facts } = await start();
      await facts.openHandle(ref('c'), 'h');
      const seen = await Promise.all(
        Array.from({ length: 50 }, () => facts.observe(at({ rpc: { handle: 'h', id: 5 } }))),
      );
      expect(seen.filter((f) => !f.replay.seen)).toHaveLength(1);
    });

    it('R-17: any id, in any order, is new exactly once', async () => {
      const id = fc.oneof(fc.integer(), fc.nat(2000), fc.maxSafeInteger(), fc.string({ maxLength: 100 }));
      const shared = await start();
      let handles = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(id, { maxLength: 80 }), async (ids) => {
          const { facts } = shared;
          const handle = `h${++handles}`;
          await facts.openHandle(ref('c'), handle);
          const used = new Set<string>();
          for (const each of ids) {
            const { replay } = await facts.observe(at({ rpc: { handle, id: each } }));
            const key = `${typeof each}:${each}`;
            // A used id is always recognised. An unused id that is too old to tell may count as used too, but then
            // no first use is reported.
            if (used.has(key)) expect(replay.seen).toBe(true);
            else if (replay.seen) expect(replay.first_seen_seconds).toBeNull();
            used.add(key);
          }
        }),
        { numRuns: 60 },
      );
    });

    it('R-17: says when and where an id was used first', async () => {
      const { clock, facts } = await start();
      await facts.openHandle(ref('c'), 'h');
      await facts.observe(at({ rpc: { handle: 'h', id: 1 } }));
      clock.advance(7);
      expect((await facts.observe(at({ rpc: { handle: 'h', id: 1 } }))).replay).toEqual({
        source: 'rpc_id',
        seen: true,
        first_seen_seconds: 7,
        same_network: true,
        history: 'complete',
      });
      expect((await facts.observe(at({ network: 'x/24', rpc: { handle: 'h', id: 1 } }))).replay.same_network).toBe(
        false,
      );
      expect((await facts.observe(at({ rpc: { handle: 'h', id: '1' } }))).replay.seen).toBe(false);
    });

    it('R-17: an id below the replay window counts as used before', async () => {
      const { facts } = await start();
      await facts.openHandle(ref('c'), 'h');
      await facts.observe(at({ rpc: { handle: 'h', id: 10_000 } }));
      expect((await facts.observe(at({ rpc: { handle: 'h', id: 9_999 } }))).replay.seen).toBe(false);
      expect((await facts.observe(at({ rpc: { handle: 'h', id: 10_000 - 512 } }))).replay).toMatchObject({
        seen: true,
        first_seen_seconds: null,
      });
    });

    it('R-17: the first use of an id below the window is reported for as long as its slot holds it', async () => {
      const { clock, facts } = await start();
      await facts.openHandle(ref('c'), 'h');
      const use = (id: number, network: string) => facts.observe(at({ network, rpc: { handle: 'h', id } }));
      await use(1, '10.0.0.0/24');
      await use(1000, '10.0.0.0/24');
      clock.advance(3);
      const again = { source: 'rpc_id', seen: true, first_seen_seconds: 3, same_network: false, history: 'complete' };
      expect((await use(1, '10.9.9.0/24')).replay).toEqual(again);
      // Id 513 takes the slot of id 1. From then on it is unknown when and where id 1 was used.
      await use(513, '10.0.0.0/24');
      const lost = { seen: true, first_seen_seconds: null, same_network: null };
      expect((await use(1, '10.0.0.0/24')).replay).toMatchObject(lost);
    });

    it('R-17: a handle that cannot tell further string ids apart is retired instead of trusted', async () => {
      const { facts, mark } = await start();
      await facts.openHandle(ref('c'), 'h');
      for (let i = 0; i < 1024; i++) await facts.observe(at({ rpc: { handle: 'h', id: `id-${i}` } }));
      expect((await facts.observe(at({ rpc: { handle: 'h', id: 'one more' } }))).replay.seen).toBe(true);
      expect(await facts.handleState(ref('c'), 'h', await mark())).toBe('unknown');
    });

    it('R-03: a handle is known for its own client only', async () => {
      const { facts, mark } = await start();
      await facts.openHandle(ref('c'), 'h');
      expect(await facts.handleState(ref('c'), 'h', await mark())).toBe('known');
      expect(await facts.handleState(ref('d'), 'h', await mark())).toBe('unknown');
      expect((await facts.observe(at({ owner: ref('d'), rpc: { handle: 'h', id: 1 } }))).replay.seen).toBe(true);
    });

    it('R-29: a handle of an epoch whose history was lost goes on, and its facts say so for as long as it lives', async () => {
      const { facts, mark } = await start();
      expect(await facts.handleState(ref('c'), 'h', 'of another epoch')).toBe('known');
      const use = async (id: number | string) => (await facts.observe(at({ rpc: { handle: 'h', id } }))).replay;
      expect(await use(50)).toMatchObject({ seen: false, history: 'lost' });
      expect(await use(51)).toMatchObject({ seen: false, history: 'lost' });
      expect(await use(51)).toMatchObject({ seen: true, first_seen_seconds: 0, history: 'lost' });
      // What is below the first id after the loss may have been used before it.
      expect(await use(49)).toMatchObject({ seen: true, first_seen_seconds: null, history: 'lost' });
      expect(await use('text')).toMatchObject({ seen: false, history: 'lost' });
      await facts.openHandle(ref('c'), 'new');
      expect((await facts.observe(at({ rpc: { handle: 'new', id: 1 } }))).replay.history).toBe('complete');
      // A handle of the present epoch that is not known never was, or was given up.
      expect(await facts.handleState(ref('c'), 'never', await mark())).toBe('unknown');
    });

    it('R-29: no handle goes on without its history once one of its client was forgotten', async () => {
      const { facts, mark } = await start();
      await facts.openHandle(ref('c'), 'victim');
      for (let i = 0; i < 32; i++) await facts.openHandle(ref('c'), `many-${i}`);
      expect(await facts.handleState(ref('c'), 'victim', await mark())).toBe('unknown');
      expect(await facts.handleState(ref('c'), 'old', 'of another epoch')).toBe('unknown');
      expect(await facts.handleState(ref('d'), 'old', 'of another epoch')).toBe('known');
    });

    it('R-29: no handle goes on without its history once one of its client was used up', async () => {
      const { facts } = await start();
      await facts.openHandle(ref('c'), 'full');
      for (let i = 0; i < 1024; i++) await facts.observe(at({ rpc: { handle: 'full', id: `id-${i}` } }));
      await facts.handleState(ref('c'), 'full', 'of another epoch');
      expect(await facts.handleState(ref('c'), 'old', 'of another epoch')).toBe('unknown');
    });
  });
}
