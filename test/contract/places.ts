// The part of the contract of the facts port that is about where a client calls from.
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../src/facts/port.ts';
import type { Store } from '../../src/store/store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { ref } from '../support/refs.ts';

let calls = 0;
const at = (changes: Partial<Observation> = {}): Observation => ({
  call: `place-${++calls}`,
  owner: ref('c'),
  network: '10.0.0.0/24',
  rpc: null,
  backend: null,
  ...changes,
});

export function placesContract(name: string, create: (clock: TestClock) => Promise<Store>): void {
  const start = async () => {
    const clock = createTestClock();
    return { clock, facts: (await create(clock)).facts };
  };

  describe(`places: ${name}`, () => {
    it('lists the newest networks, the current one first, and no more than eight', async () => {
      const { clock, facts } = await start();
      for (let i = 0; i < 12; i++) {
        await facts.observe(at({ network: `10.0.${i}.0/24` }));
        clock.advance(1);
      }
      const { networks } = (await facts.observe(at({ network: '10.0.11.0/24' }))).usage;
      expect(networks).toHaveLength(8);
      expect(networks[0]).toEqual({ network: '10.0.11.0/24', calls: 2, last_seen_seconds: 1 });
      expect(networks[1]).toEqual({ network: '10.0.10.0/24', calls: 1, last_seen_seconds: 2 });
    });

    it('R-98: tells when the client came back to a network, and how long it had been away', async () => {
      const { clock, facts } = await start();
      const seen = async (network: string) => (await facts.observe(at({ network }))).usage.networks;
      const [a, b, c] = ['10.0.1.0/24', '10.0.2.0/24', '2001:db8::/64'];
      await seen(a as string);
      clock.advance(10);
      expect(await seen(b as string)).toEqual([
        { network: b, calls: 1, last_seen_seconds: 0 },
        { network: a, calls: 1, last_seen_seconds: 10 },
      ]);
      clock.advance(5);
      // Another family in between is no other place.
      await seen(c as string);
      expect((await seen(b as string))[0]).toEqual({ network: b, calls: 2, last_seen_seconds: 5 });
      clock.advance(5);
      expect((await seen(a as string))[0]).toEqual({
        network: a,
        calls: 2,
        last_seen_seconds: 20,
        returned_seconds: 0,
        away_seconds: 20,
        returned_from: b,
      });
      clock.advance(7);
      expect((await seen(a as string))[0]).toMatchObject({
        last_seen_seconds: 7,
        returned_seconds: 7,
        away_seconds: 20,
      });
      expect((await seen(b as string))[0]).toMatchObject({ returned_seconds: 0, away_seconds: 12 });
    });

    it('R-98: a network whose calls were all refused for the place itself says so, and not before each has ended', async () => {
      const { facts } = await start();
      const [a, b] = ['10.0.1.0/24', '10.0.2.0/24'];
      const other = async () => (await facts.observe(at({ network: a as string }))).usage.networks[1];
      const refused = [at({ network: b as string }), at({ network: b as string })];
      for (const call of refused) await facts.observe(call);
      expect(await other()).not.toHaveProperty('refused');
      for (const { call } of refused) await facts.finished(ref('c'), call, { denied: true, refusedPlace: b });
      expect(await other()).toMatchObject({ network: b, refused: true });
      const taken = at({ network: b as string });
      await facts.observe(taken);
      await facts.finished(ref('c'), taken.call, { denied: true });
      expect(await other()).not.toHaveProperty('refused');
      // More ends than calls take nothing away from a call that was not refused.
      for (let i = 0; i < 3; i++) await facts.finished(ref('d'), 'x', { denied: true, refusedPlace: b });
      expect(await other()).not.toHaveProperty('refused');
    });

    it('R-98: a call from a place where every one before was refused counts when it ends, and was not refused', async () => {
      const { facts } = await start();
      const [a, b] = ['10.0.1.0/24', '10.0.2.0/24'];
      const from = async (network: string) => {
        const call = at({ network });
        return { ...call, networks: (await facts.observe(call)).usage.networks };
      };
      const first = await from(b as string);
      await facts.finished(ref('c'), first.call, { denied: true, refusedPlace: b });
      // Three that are under way do not hide that the place is refused; one that is let through does, once it has ended.
      const tries = [await from(b as string), await from(b as string), await from(b as string)];
      expect((await from(a as string)).networks[1]).toMatchObject({ network: b, refused: true });
      for (const { call } of tries.slice(1)) await facts.finished(ref('c'), call, { denied: true, refusedPlace: b });
      expect((await from(a as string)).networks[1]).toMatchObject({ network: b, refused: true });
      await facts.finished(ref('c'), tries[0]?.call ?? '', { denied: false });
      expect((await from(a as string)).networks[1]).not.toHaveProperty('refused');
    });

    it('R-13: tells that a network had to make room for others, and when it was used last', async () => {
      const { clock, facts } = await start();
      const usage = async (network: string) => (await facts.observe(at({ network }))).usage;
      await usage('10.0.1.0/24');
      clock.advance(10);
      for (let i = 0; i < 7; i++)
        expect(await usage(`2001:db8:${i}::/64`)).not.toHaveProperty('networks_dropped_seconds');
      expect((await usage('2001:db8:7::/64')).networks_dropped_seconds).toBe(10);
      clock.advance(5);
      expect((await usage('10.0.1.0/24')).networks_dropped_seconds).toBe(5);
      clock.advance(3600);
      expect(await usage('10.0.1.0/24')).not.toHaveProperty('networks_dropped_seconds');
    });
  });
}
