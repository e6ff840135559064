import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { createFingerprint, createSealer } from '../../src/keyring/sealing.ts';

const key = (id: string) => ({ id, secret: new Secret(randomBytes(32)) });

describe('R-41: sealing', () => {
  const k1 = key('k1');
  const sealer = createSealer(() => [k1], 'session');

  it('opens what it sealed, for the same context only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), fc.string(), (data, context, other) => {
        const sealed = sealer.seal(Buffer.from(data), context);
        expect(sealer.open(sealed, context)?.equals(Buffer.from(data))).toBe(true);
        if (other !== context) expect(sealer.open(sealed, other)).toBeUndefined();
      }),
    );
  });

  it('attack 21: every single-bit change, truncation or extension is refused', () => {
    const sealed = sealer.seal(Buffer.from('JSESSIONID=1'), 'owner');
    const [id, body = ''] = sealed.split('.');
    const bytes = Buffer.from(body, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(sealer.open(`${id}.${flipped.toString('base64url')}`, 'owner')).toBeUndefined();
    }
    for (let length = 0; length < sealed.length; length++)
      expect(sealer.open(sealed.slice(0, length), 'owner')).toBeUndefined();
    for (const more of ['A', '=', '.', ' ']) expect(sealer.open(sealed + more, 'owner')).toBeUndefined();
  });

  it('R-42: an old key opens, the first key seals, a removed key opens nothing', () => {
    const k2 = key('k2');
    const sealed = sealer.seal(Buffer.from('x'), 'c');
    const rotated = createSealer(() => [k2, k1], 'session');
    expect(rotated.open(sealed, 'c')?.toString()).toBe('x');
    expect(rotated.seal(Buffer.from('x'), 'c')).toMatch(/^k2\./);
    expect(createSealer(() => [k2], 'session').open(sealed, 'c')).toBeUndefined();
  });

  it('each purpose has its own key', () => {
    expect(createSealer(() => [k1], 'handle').open(sealer.seal(Buffer.from('x'), 'c'), 'c')).toBeUndefined();
  });
});

it('R-43: a fingerprint is stable under its key and different under another', () => {
  const secret = new Secret(randomBytes(32));
  const fingerprint = createFingerprint(secret);
  expect(fingerprint('token')).toBe(createFingerprint(secret)('token'));
  expect(fingerprint('token')).not.toBe(createFingerprint(new Secret(randomBytes(32)))('token'));
  expect(fingerprint('token')).toMatch(/^[0-9a-f]{32}$/);
});
