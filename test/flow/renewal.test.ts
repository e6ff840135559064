// A backend that sets a new cookie with its answers.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Harness, startHarness } from '../support/harness.ts';

let h: Harness;
beforeEach(async () => {
  h = await startHarness();
});
afterEach(() => h.close());

it('R-80: a session whose cookie the backend renews in each answer is still rotated by age and by use', async () => {
  h.legacy.inject({ renewIds: true });
  const inputs = async () => (await h.audit('decision')).map(({ input, result }) => ({ ...input.session, ...result }));
  for (let i = 0; i < 7; i++) {
    await h.call('stock_list');
    h.clock.advance(60);
  }
  // The login is the first use. Age and uses go on over six renewals, and the seventh call is over the limit.
  const decisions = await inputs();
  expect(decisions.slice(1, 6).map((d) => d.token_age_seconds)).toEqual([60, 120, 180, 240, 300]);
  expect(decisions.slice(1, 6).map((d) => d.token_uses)).toEqual([1, 2, 3, 4, 5]);
  expect(decisions.map((d) => d.outcome)).toContain('rotate');
  expect(decisions.find((d) => d.outcome === 'rotate')?.reasons).toMatchObject([{ code: 'lifetime.token_too_old' }]);
  expect(h.legacy.stats().logins).toBe(2);
  expect(decisions.at(-1)).toMatchObject({ outcome: 'allow', token_age_seconds: 60, token_uses: 1 });
});
