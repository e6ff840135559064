import { expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { readSettings } from '../../src/decision/bundle.ts';
import { endOfSession } from '../../src/decision/lifetimes.ts';

const { settings } = readSettings(`${PACKAGE_ROOT}/policies`);
const record = { backend: 'inventory', createdAt: 0, issuedAt: 0 };
const minutes = (ms: number) => ms / 60_000;

it('R-21: an unused session ends when its backend token can no longer have been used within the idle limit', () => {
  // A backend token in use is replaced after 300 s; then the idle limit of 900 s begins.
  expect(minutes(endOfSession(settings)(record))).toBe(20);
  expect(minutes(endOfSession(settings)({ ...record, issuedAt: 3_600_000 }))).toBe(80);
});

it('R-21: a session ends at its absolute limit at the latest, even if its backend token was issued a moment ago', () => {
  expect(minutes(endOfSession(settings)({ ...record, issuedAt: 28_799_000 }))).toBe(480);
});

it('a backend may have its own limits, and a limit of the grade "allow" ends no session', () => {
  const own = { ...settings, backends: { inventory: { lifetime: { idle: { limit_seconds: 60 } } } } };
  expect(minutes(endOfSession(own)(record))).toBe(6);
  expect(minutes(endOfSession(own)({ ...record, backend: 'other' }))).toBe(20);
  const lenient = {
    ...settings,
    lifetime: { ...settings.lifetime, idle: { limit_seconds: 60, grade: 'allow' as const } },
  };
  expect(minutes(endOfSession(lenient)(record))).toBe(480);
  const absolute = { limit_seconds: 60, grade: 'allow' as const };
  expect(endOfSession({ ...lenient, lifetime: { ...lenient.lifetime, absolute } })(record)).toBe(
    Number.POSITIVE_INFINITY,
  );
});
