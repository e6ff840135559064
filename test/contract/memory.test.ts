import { expect, it } from 'vitest';
import { createMemoryBoard } from '../../src/alerts/board/memory.ts';
import { createMemoryStore } from '../../src/store/memory/store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { ref } from '../support/refs.ts';
import { alertContract } from './alerts.ts';
import { factsContract } from './facts.ts';
import { freezeContract } from './freezes.ts';
import { placesContract } from './places.ts';
import { quotasContract } from './quotas.ts';
import { key, sessionRecord, sessionStoreContract } from './session-store.ts';
import { toolUseContract } from './tool-use.ts';

const create = async (clock: TestClock, clients = 1000) =>
  createMemoryStore({ clock, clients, sessions: clients, ttlMs: 3_600_000 });

sessionStoreContract('memory', create);
factsContract('memory', create);
toolUseContract('memory', create);
freezeContract('memory', create);
placesContract('memory', create);
quotasContract('memory', create);
alertContract('memory', async () => createMemoryBoard(true));

it('R-29: a full store refuses new clients instead of forgetting old ones', async () => {
  const { facts, sessions } = await create(createTestClock(), 3);
  const observation = { call: 'x', network: 'n/24', rpc: null, backend: null };
  for (const client of ['a', 'b', 'c']) await facts.observe({ owner: ref(client), ...observation });
  await expect(facts.observe({ owner: ref('d'), ...observation })).rejects.toThrow('live entries');
  expect((await facts.observe({ owner: ref('a'), ...observation })).usage.calls_1h).toBe(2);

  for (const owner of ['a', 'b', 'c', 'd']) {
    const at = { ...key, owner: ref(owner) };
    const seen = await sessions.get(at);
    const lock = await sessions.lockLogin(at, seen, 1000);
    if (lock.kind !== 'locked') throw new Error(lock.kind);
    const committed = sessions.commit(at, lock.lockId, seen, sessionRecord(1, at), 0);
    if (owner === 'd') await expect(committed).rejects.toThrow('live entries');
    else expect(await committed).toBe(true);
  }
  expect((await sessions.get({ ...key, owner: ref('a') })).record).toBeDefined();
});
