import { expect, it } from 'vitest';
import { createGuessing } from '../../src/identity/guessing.ts';

let now = 0;
const start = (perMinute = 2) =>
  createGuessing(
    () => perMinute,
    () => now,
  );

it('R-65: failures of one source are limited, with one alert when there are too many', () => {
  const guessing = start();
  const guesses = [1, 2, 3, 4].map(() => guessing.credential('unknown_key', '10.0.0.0/24'));
  expect(guesses).toEqual([
    { limited: false, alert: undefined },
    { limited: false, alert: undefined },
    { limited: true, alert: 'too_many' },
    { limited: true, alert: undefined },
  ]);
  expect(guessing.credential('unknown_key', '10.9.9.0/24').limited).toBe(false);
  now += 60_000;
  expect(guessing.credential('unknown_key', '10.0.0.0/24').limited).toBe(false);
});

it('R-08: a proof that was used before always raises an alert, however few there are', () => {
  const guessing = start();
  const alerts = [1, 2, 3].map(() => guessing.credential('proof_replayed', 'n').alert);
  expect(alerts).toEqual(['proof_replayed', 'proof_replayed', 'proof_replayed']);
});

it('R-09: an expired nonce is not a guess and is not counted', () => {
  const guessing = start();
  for (let i = 0; i < 10; i++) expect(guessing.credential('proof_nonce_stale', 'n').limited).toBe(false);
  expect(guessing.credential('malformed', 'n').limited).toBe(false);
});

it('R-65: handles are counted by client and source together', () => {
  const guessing = start(0);
  expect(guessing.handle('a', 'n')).toEqual({ limited: true, alert: 'too_many' });
  expect(guessing.handle('b', 'n')).toEqual({ limited: true, alert: 'too_many' });
  expect(guessing.handle('a', 'm')).toEqual({ limited: true, alert: 'too_many' });
  expect(guessing.handle('a', 'n').alert).toBeUndefined();
});
