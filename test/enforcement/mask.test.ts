import { expect, it } from 'vitest';
import { mask } from '../../src/enforcement/mask.ts';

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
