import { describe, expect, it } from 'vitest';
import { CANARIES, FORMS, findCanaries } from '../support/canary.ts';

describe('R-40: the search of attack 19', () => {
  it('finds a canary in every form in which it is said, anywhere in a text, and in nothing else', () => {
    for (const [form, write] of Object.entries(FORMS))
      for (const value of Object.values(CANARIES))
        expect(findCanaries({ log: `{"a":"before ${write(value)} after"}\n` }), form).not.toEqual([]);
    const { token } = CANARIES;
    const found = (text: string | Buffer) => findCanaries({ log: text });
    expect(found(token.toUpperCase())).not.toEqual([]);
    expect(found(token.slice(0, 26))).not.toEqual([]);
    expect(found(Buffer.from(token, 'utf16le'))).not.toEqual([]);
    expect(found(JSON.stringify(JSON.stringify(FORMS.json?.(token))))).not.toEqual([]);
    expect(found('{"chain":{"prev":"2a982e51f80b58dd0679bcdd2ac1114b35a9a0884855a423061c1f948dc51f03"}}')).toEqual([]);
  });
});
