import { expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { readSettings } from '../../src/decision/bundle.ts';
import { endOfSession } from '../../src/decision/lifetimes.ts';

const { settings } = readSettings(`${PACKAGE_ROOT}/policies`);
const record = { backend: 'inventory', createdAt: 0, issuedAt: 0 };
const minutes = (ms: number) => ms / 60_000;

it('R-21: an unused session is over when its token could not have been used for the idle limit', () => {
  // 300 s until a token in use is replaced, then 900 s without a use.
  expect(minutes(endOfSession(settings)(record))).toBe(20);
  expect(minutes(endOfSession(settings)({ ...record, issuedAt: 3_600_000 }))).toBe(80);
});

it('R-21: never later than the absolute limit, also for a token that was issued a moment ago', () => {
  expect(minutes(endOfSession(settings)({ ...record, issuedAt: 28_799_000 }))).toBe(480);
});

it('a backend may have limits of its own; limits that let pass end nothing', () => {
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
