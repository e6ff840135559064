// The contract of the session store port. Every adapter runs this one suite.
import { describe, expect, it } from 'vitest';
import type { SessionRecord } from '../../src/session/record.ts';
import type { SessionStore } from '../../src/session/store.ts';

export function sessionRecord(generation: number, changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: 'id',
    backend: 'inventory',
    owner: 'owner',
    generation,
    createdAt: 0,
    issuedAt: 0,
    bound: { client_id: 'a', subject: 'a', ip: '10.0.0.1', network: '10.0.0.0/24', key: null },
    fingerprint: 'f',
    tokenFingerprint: 't',
    sealed: `sealed-${generation}`,
    ...changes,
  };
}

export function sessionStoreContract(name: string, create: () => SessionStore): void {
  describe(`session store: ${name}`, () => {
    it('answers undefined for what is not there', async () => {
      expect(await create().get('k')).toBeUndefined();
    });

    it('R-24: stores only on the expected generation', async () => {
      const store = create();
      expect(await store.compareAndSet('k', sessionRecord(1), sessionRecord(2))).toBe(false);
      expect(await store.compareAndSet('k', null, sessionRecord(1))).toBe(true);
      expect(await store.compareAndSet('k', null, sessionRecord(1))).toBe(false);
      expect(await store.compareAndSet('k', sessionRecord(1), sessionRecord(2))).toBe(true);
      expect(await store.compareAndSet('k', sessionRecord(1), sessionRecord(2))).toBe(false);
      expect((await store.get('k'))?.generation).toBe(2);
    });

    it('R-24: of 50 writers at once exactly one wins', async () => {
      const store = create();
      await store.compareAndSet('k', null, sessionRecord(1));
      const won = await Promise.all(
        Array.from({ length: 50 }, () => store.compareAndSet('k', sessionRecord(1), sessionRecord(2))),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
    });

    it('R-26: removes once, and a paused writer does not bring the record back', async () => {
      const store = create();
      await store.compareAndSet('k', null, sessionRecord(1));
      expect((await store.remove('k'))?.generation).toBe(1);
      expect(await store.remove('k')).toBeUndefined();
      expect(await store.compareAndSet('k', sessionRecord(1), sessionRecord(2))).toBe(false);
      expect(await store.get('k')).toBeUndefined();
    });

    it('R-26: a generation of another session is not the expected one', async () => {
      const store = create();
      await store.compareAndSet('k', null, sessionRecord(1, { id: 'second' }));
      expect(await store.compareAndSet('k', { id: 'first', generation: 1 }, sessionRecord(2, { id: 'first' }))).toBe(
        false,
      );
      expect((await store.get('k'))?.id).toBe('second');
    });

    it('keeps keys apart', async () => {
      const store = create();
      await store.compareAndSet('a', null, sessionRecord(1, { owner: 'a' }));
      await store.compareAndSet('b', null, sessionRecord(1, { owner: 'b' }));
      expect((await store.get('a'))?.owner).toBe('a');
      await store.remove('a');
      expect((await store.get('b'))?.owner).toBe('b');
    });
  });
}
