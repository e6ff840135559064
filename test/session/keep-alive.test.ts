// Keep-alive requests for idle sessions: they are sent for a while after the last call, and only for live sessions.
import { beforeEach, expect, it } from 'vitest';
import type { BackendPort, BackendTokenSecret } from '../../src/backend/port.ts';
import { Secret } from '../../src/core/secret.ts';
import type { SessionRecord } from '../../src/session/record.ts';
import { createInUse } from '../../src/session/use/in-use.ts';
import { createKeepAlive, type KeepAlive } from '../../src/session/use/keep-alive.ts';
import { createTurns } from '../../src/session/use/turns.ts';
import { createMemoryStore } from '../../src/store/memory/store.ts';
import { sessionRecord } from '../contract/session-store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';

let clock: TestClock;
let stored: SessionRecord | undefined;
let askedWith: BackendTokenSecret[];
let answer: Awaited<ReturnType<BackendPort['keepAlive']>>;
let renewed: [SessionRecord, BackendTokenSecret][];
let keepAlive: KeepAlive;
const backendToken = new Secret({ cookies: [], values: {} });
const inUse = createInUse();

beforeEach(() => {
  clock = createTestClock();
  stored = sessionRecord(1);
  askedWith = [];
  renewed = [];
  answer = { kind: 'ok' };
  const backend = {
    keepAliveTimes: { everyMs: 60_000, forMs: 300_000 },
    async keepAlive(of: BackendTokenSecret) {
      askedWith.push(of);
      return answer;
    },
  } as unknown as BackendPort;
  keepAlive = createKeepAlive({
    store: { get: async () => ({ record: stored, revocations: 0 }) },
    backends: new Map([['inventory', backend]]),
    inUse,
    clock,
    turns: createTurns(createMemoryStore({ clock, clients: 1, sessions: 1, ttlMs: 1 }).sessions),
    apply: async ({ record }, { renewed: next }) => void (next && renewed.push([record, next])),
  });
});
const after = async (seconds: number) => {
  clock.advance(seconds);
  await keepAlive.tick();
  return askedWith.length;
};

it('keep-alive requests come at a fixed interval, and stop when there has been no call for long enough', async () => {
  keepAlive.used(sessionRecord(1), backendToken);
  expect(await after(59)).toBe(0);
  expect(await after(1)).toBe(1);
  expect(await after(59)).toBe(1);
  expect(await after(1)).toBe(2);
  // A call makes a keep-alive request unnecessary and restarts the time for which they are sent.
  keepAlive.used(sessionRecord(1), backendToken);
  for (let i = 0; i < 10; i++) await after(60);
  expect(askedWith).toHaveLength(7);
});

it('R-26: a session that was revoked, rotated or replaced by another gets no keep-alive request', async () => {
  for (const now of [undefined, sessionRecord(2), sessionRecord(1, { id: 'other' })]) {
    keepAlive.used(sessionRecord(1), backendToken);
    stored = now;
    expect(await after(60)).toBe(0);
    stored = sessionRecord(1);
    expect(await after(60)).toBe(0);
  }
});

it('a session that has ended in spite of keep-alive requests gets no more of them', async () => {
  keepAlive.used(sessionRecord(1), backendToken);
  answer = { kind: 'expired' };
  expect(await after(60)).toBe(1);
  expect(await after(60)).toBe(1);
});

it('R-54: a cookie that the answer to a keep-alive request changes is the session from then on', async () => {
  keepAlive.used(sessionRecord(1), backendToken);
  const next = new Secret({ cookies: [], values: { a: 'b' } });
  answer = { kind: 'ok', renewed: next };
  await after(60);
  expect(renewed).toEqual([[sessionRecord(1), next]]);
  stored = sessionRecord(2);
  keepAlive.moved(sessionRecord(1), sessionRecord(2), next);
  answer = { kind: 'ok' };
  await after(60);
  expect(askedWith.at(-1)).toBe(next);
});

it('a keep-alive request counts as a use of the backend token until it ends, even if it fails', async () => {
  keepAlive.used(sessionRecord(1), backendToken);
  let during: Promise<boolean> | undefined;
  askedWith.push = () => {
    during = inUse.drained(sessionRecord(1), 10_000);
    throw new Error('the backend is gone');
  };
  await after(60);
  expect(await during).toBe(true);
  expect(await inUse.drained(sessionRecord(1), 0)).toBe(true);
});
