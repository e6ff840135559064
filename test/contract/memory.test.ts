import { expect, it } from 'vitest';
import { createMemoryFacts } from '../../src/store/memory/facts.ts';
import { createMemorySessions } from '../../src/store/memory/sessions.ts';
import { createTestClock } from '../support/clock.ts';
import { factsContract } from './facts.ts';
import { sessionRecord, sessionStoreContract } from './session-store.ts';

sessionStoreContract('memory', () => createMemorySessions({ sessions: 1000 }));
factsContract('memory', (clock) => createMemoryFacts({ clock, clients: 1000, ttlMs: 3_600_000 }));

it('R-29: a full store refuses new clients instead of forgetting old ones', async () => {
  const facts = createMemoryFacts({ clock: createTestClock(), clients: 3, ttlMs: 3_600_000 });
  const observation = { network: 'n/24', rpc: null, session: null };
  for (const client of ['a', 'b', 'c']) await facts.observe({ client, ...observation });
  await expect(facts.observe({ client: 'd', ...observation })).rejects.toThrow('live entries');
  expect((await facts.observe({ client: 'a', ...observation })).usage.calls_1h).toBe(2);

  const sessions = createMemorySessions({ sessions: 1 });
  await sessions.compareAndSet('a', null, sessionRecord(1));
  await expect(sessions.compareAndSet('b', null, sessionRecord(1))).rejects.toThrow('live entries');
  expect(await sessions.get('a')).toBeDefined();
});
