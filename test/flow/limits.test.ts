// guessing is limited and reported, and it does not lock out anybody else.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGuessing } from '../../src/identity/guessing.ts';
import { ELSEWHERE, type Harness, HOME, startHarness } from '../support/harness.ts';

let h: Harness;
beforeEach(async () => {
  h = await startHarness({
    clients: { 'agent-b': ['clerk'] },
    edit: (yaml) => yaml.replace('state_dir:', 'limits: { failures_per_minute: 10 }\nstate_dir:'),
  });
});
afterEach(() => h.close());

const guess = async (ip = HOME) => (await h.rpc('ping', {}, { key: `sp_${'x'.repeat(43)}`, ip })).status;

describe('R-65: refused credentials', () => {
  it('are limited by network; a good credential of the same network passes all the same', async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 30; i++) statuses.push(await guess());
    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(statuses.filter((status) => status === 429)).toHaveLength(20);
    expect((await h.rpc('ping')).status).toBe(200);
    expect(await guess('10.1.2.77')).toBe(429);
    expect(await guess(ELSEWHERE)).toBe(401);
    expect(await h.audit('alert')).toMatchObject([{ reasons: ['authn.too_many_failures'], requested_by: HOME }]);
    h.clock.advance(60);
    expect(await guess()).toBe(401);
  });

  it('from very many networks are forgotten, so that no network is limited by mistake', async () => {
    const guessing = createGuessing(
      () => 2,
      () => 0,
    );
    for (let i = 0; i < 3; i++) guessing.credential('unknown_key', 'first');
    for (let i = 0; i < 20_000; i++) expect(guessing.credential('unknown_key', `other-${i}`).limited).toBe(false);
    expect(guessing.credential('unknown_key', 'first').limited).toBe(false);
  });
});

it('R-20, R-65: unknown handles are limited by client and network; other networks and other clients are not limited', async () => {
  const handle = await h.initialize();
  const other = await h.initialize({ key: 'agent-b' });
  const statuses: number[] = [];
  for (let i = 0; i < 20; i++) statuses.push((await h.rpc('ping', {}, { handle: `guess-${i}` })).status);
  expect(statuses.filter((status) => status === 404)).toHaveLength(10);
  expect(statuses.at(-1)).toBe(429);
  expect((await h.rpc('ping', {}, { handle })).status).toBe(200);
  expect((await h.rpc('ping', {}, { handle: other, key: 'agent-b' })).status).toBe(200);
  expect((await h.rpc('ping', {}, { handle: 'guess', key: 'agent-b' })).status).toBe(404);
  expect((await h.rpc('ping', {}, { handle: 'guess', ip: ELSEWHERE })).status).toBe(404);
  expect(await h.audit('alert')).toMatchObject([
    { reasons: ['handle.too_many_unknown'], client: { id: 'demo-agent' }, severity: 'medium' },
  ]);
});
