// The use of tools over 90 days, as every adapter tells it.
import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { ref } from '../support/refs.ts';

const DAY = 86_400;
let calls = 0;

export function toolUseContract(name: string, create: (clock: TestClock) => Promise<Store>): void {
  const start = async () => {
    const clock = createTestClock();
    const { facts } = await create(clock);
    const use = async (tool: string, ending: { denied: boolean; used?: string }, owner = ref('c')) => {
      const call = `use-${++calls}`;
      const { usage } = await facts.observe({ call, owner, network: '10.0.0.0/24', rpc: null, backend: null, tool });
      await facts.finished(owner, call, ending);
      return usage.tool;
    };
    const called = (tool: string, owner = ref('c')) => use(tool, { denied: false, used: tool }, owner);
    return { clock, use, called, look: (tool: string) => use(tool, { denied: true }) };
  };

  describe(`use of tools: ${name}`, () => {
    it('R-36: only calls that were let through count, for their client and their tool, and the last is told', async () => {
      const { clock, called, look } = await start();
      expect(await called('pay')).toEqual({ calls_90d: 0, last_seconds: null });
      clock.advance(70);
      expect(await look('pay')).toEqual({ calls_90d: 1, last_seconds: 70 });
      expect(await look('pay')).toEqual({ calls_90d: 1, last_seconds: 70 });
      expect(await called('pay')).toEqual({ calls_90d: 1, last_seconds: 70 });
      clock.advance(1);
      expect(await look('pay')).toEqual({ calls_90d: 2, last_seconds: 1 });
      expect(await look('other')).toEqual({ calls_90d: 0, last_seconds: null });
      expect(await called('pay', ref('d'))).toEqual({ calls_90d: 0, last_seconds: null });
    });

    it('R-36: what is 90 days old is forgotten, to within three days', async () => {
      const { clock, called, look } = await start();
      await called('pay');
      clock.advance(86 * DAY);
      expect(await look('pay')).toEqual({ calls_90d: 1, last_seconds: 86 * DAY });
      await called('pay');
      clock.advance(5 * DAY);
      expect(await look('pay')).toEqual({ calls_90d: 1, last_seconds: 5 * DAY });
      clock.advance(90 * DAY);
      expect(await look('pay')).toEqual({ calls_90d: 0, last_seconds: null });
    });

    it('R-36: a slow clock, and calls that were told late, take nothing from the count', async () => {
      const { clock, called, look } = await start();
      for (let i = 0; i < 5; i++) await called('pay');
      clock.advance(50 * DAY);
      await called('pay');
      clock.advance(-4 * DAY);
      await called('pay');
      clock.advance(4 * DAY);
      expect((await look('pay'))?.calls_90d).toBe(7);
      clock.advance(60 * DAY);
      await called('pay');
      clock.advance(70);
      await called('pay');
      // The five of the beginning are 110 days old.
      expect((await look('pay'))?.calls_90d).toBe(4);
    });

    it('a client that uses many tools is remembered by the latest of them, and nobody is refused', async () => {
      const { clock, called, look } = await start();
      await called('first');
      for (let i = 0; i < 257; i++) {
        clock.advance(1);
        await called(`tool-${i}`);
      }
      expect((await look('tool-256'))?.calls_90d).toBe(1);
      expect((await look('first'))?.calls_90d).toBeLessThanOrEqual(1);
    });
  });
}
