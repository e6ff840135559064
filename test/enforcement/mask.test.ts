import { expect, it } from 'vitest';
import { mask, trim } from '../../src/enforcement/mask.ts';

it('mask blanks what a pointer names, "*" in lists, and nothing else', () => {
  const value = { a: 1, list: [{ p: 1, q: 2 }, { p: 3 }, 4], 'x/y': { z: 1 } };
  expect(mask(value, ['/a', '/list/*/p', '/x~1y/z', '/none', '/a/b', '/__proto__/x'])).toEqual({
    a: '[masked]',
    list: [{ p: '[masked]', q: 2 }, { p: '[masked]' }, 4],
    'x/y': { z: '[masked]' },
  });
  expect(mask(value, ['/list/1'])).toMatchObject({ list: [{ p: 1 }, '[masked]', 4] });
  expect(mask(value, [''])).toBe('[masked]');
  expect(value.a).toBe(1);
});

it('R-70: a mask that meets nothing is told; in an empty list there is nothing to miss', () => {
  const value = { items: [{ price: 1 }, { name: 'x' }], none: [] };
  const absent = (pointer: string, required = false) => {
    const { masksAbsent, requiredAbsent } = trim(value, [{ pointers: [pointer], required }], []);
    return [masksAbsent, requiredAbsent];
  };
  expect(absent('/items/*/price')).toEqual([[], false]);
  expect(absent('/items/*/prize')).toEqual([['/items/*/prize'], false]);
  expect(absent('/none/*/prize', true)).toEqual([[], false]);
  expect(absent('/price', true)).toEqual([['/price'], true]);
  expect(absent('/items/7/price')).toEqual([['/items/7/price'], false]);
});

it('a limit gives the first items of a list, and says how many are left out and where there was no list', () => {
  const value = { items: [1, 2, 3], pages: [{ rows: [1, 2] }, { rows: [3] }], name: 'x' };
  const limited = trim(
    value,
    [],
    [
      { pointer: '/items', items: 2 },
      { pointer: '/pages/*/rows', items: 1 },
      { pointer: '/name', items: 1 },
      { pointer: '/gone', items: 1 },
    ],
  );
  expect(limited.value).toEqual({ items: [1, 2], pages: [{ rows: [1] }, { rows: [3] }], name: 'x' });
  expect([limited.itemsCut, limited.limitsAbsent]).toEqual([2, ['/name', '/gone']]);
  expect(value.items).toHaveLength(3);
});

it('R-70: masks that overlap, and a limit beside a mask, hide nothing and miss nothing', () => {
  const value = {
    items: [
      { price: 1, name: 'a' },
      { price: 2, name: 'b' },
    ],
  };
  const overlapping = trim(value, [{ pointers: ['/items', '/items/*/price'], required: true }], []);
  expect([overlapping.value, overlapping.masksAbsent, overlapping.requiredAbsent]).toEqual([
    { items: '[masked]' },
    [],
    false,
  ]);
  const limited = trim(value, [{ pointers: ['/items/*/price'], required: true }], [{ pointer: '/items', items: 1 }]);
  expect([limited.value, limited.requiredAbsent, limited.itemsCut]).toEqual([
    { items: [{ price: '[masked]', name: 'a' }] },
    false,
    1,
  ]);
  // A required mask is for every item: one in which the application has renamed the field must not pass.
  const renamed = { items: [{ price: 1 }, { prize: 2 }] };
  expect(trim(renamed, [{ pointers: ['/items/*/price'], required: true }], []).requiredAbsent).toBe(true);
  expect(trim(renamed, [{ pointers: ['/items/*/price'] }], []).masksAbsent).toEqual([]);
  expect(trim({ items: [] }, [{ pointers: ['/items/typo'], required: true }], []).requiredAbsent).toBe(true);
  expect(trim({ pages: [] }, [], [{ pointer: '/pages/*/rows', items: 1 }]).limitsAbsent).toEqual([]);
});
