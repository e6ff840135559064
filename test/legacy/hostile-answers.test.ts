// Answers that somebody made to stop the connector, or to get a secret out of it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scrubText, spellings } from '../../src/backend/answer/scrub.ts';
import { parseJson } from '../../src/formats/json.ts';
import { textOf } from '../support/fronted.ts';
import { CSRF, call, connect, connectWith, EXPIRED, ok, serve, yamlOf } from '../support/one-app.ts';

describe('R-93: a page that was made to stop the connector, or to be unreadable', () => {
  it.each([
    ['a cell of a billion columns', '<table><tr><td colspan=1000000000 rowspan=100000000>x</td></tr></table>', 'x'],
    ['a list with an absurd first number', '<ol start=99999999999999999999 type=i><li>x</ol>', '- x'],
    ['nearly a million spaces in a pre element', `<pre>${' '.repeat(900_000)}x</pre>`, 'x'],
    ['tags that are never closed', `${'<b>'.repeat(300_000)}x`, 'x'],
    ['elements that are nested too deeply', `${'<div>'.repeat(150_000)}x`, 'x'],
    ['elements, and end tags that end nothing', `${'<div></p></x>'.repeat(60_000)}x`, 'x'],
    ['elements that are closed by others', `${'<a><i></a>'.repeat(60_000)}x`, 'x'],
  ])('%s', async (_name, page, text) => {
    await serve(({ response }) => ok(response, page));
    await connect(
      'expired: [{ form_field: pw }]',
      'html: { backend: app, description: Page, effect: read, request: { path: /page }, result: { as: html, max_bytes: 2000000 } }',
    );
    const answer = await call('html');
    expect(textOf(answer)).toBe(text);
  });
});

describe('R-40: a result does not show', () => {
  it('a password under any name, or a value that the login makes from it alone', async () => {
    const made = Buffer.from('xhunter2-secret').toString('base64');
    await serve(({ response }) => ok(response, `anna hunter2-secret ${made}`));
    const yaml = yamlOf(EXPIRED, '').replace(
      'login: [{',
      'login: [{ compose: { half: { base64: "x{credentials.user_password}" } } }, {',
    );
    await connectWith(yaml);
    expect(textOf(await call('page'))).toBe('anna [redacted] [redacted]');
  });

  it('a CSRF token of a page, before and after it was fetched, or a refused one', async () => {
    let issued = 0;
    await serve(({ path, request, response }) => {
      if (path === '/token') return ok(response, `<input name=tok value=csrf-token-${++issued}>`);
      if (path === '/put' && request.headers['x-t'] === 'csrf-token-1') return response.writeHead(403).end();
      return ok(response, `<input name=tok value=csrf-token-0> csrf-token-1 csrf-token-2`);
    });
    await connect(`${EXPIRED}\n${CSRF}`);
    expect(textOf(await call('page'))).toBe('<input name=tok value=[redacted]> csrf-token-1 csrf-token-2');
    expect(textOf(await call('put'))).toBe('<input name=tok value=[redacted]> [redacted] [redacted]');
    expect(textOf(await call('page'))).toBe('<input name=tok value=[redacted]> csrf-token-1 [redacted]');
  });

  it('the whole of a form that begins with another', () => {
    expect(scrubText('before aaaaa&#38; after', spellings(['aaaaa&']))).toBe('before [redacted] after');
  });

  it('a secret in any mixture of its spellings', () => {
    const ways = [
      (c: string) => c,
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `%${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `&#${c.charCodeAt(0)};`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `&#x${c.charCodeAt(0).toString(16)};`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `&#X00${c.charCodeAt(0).toString(16).toUpperCase()};`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `\\u00${c.charCodeAt(0).toString(16).padStart(2, '0')}`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `\\${c}`),
      (c: string) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c,
    ];
    const secret = fc.string({
      unit: fc.constantFrom(...'abXY09+/=&<>"\'.;-_:$^()[]{}|\\ ?*!~#%@,'),
      minLength: 6,
      maxLength: 24,
    });
    fc.assert(
      fc.property(secret, fc.array(fc.nat(ways.length - 1), { minLength: 24, maxLength: 24 }), (text, choice) => {
        // A secret that contains a backslash is recognised only in JSON's escaped form, not with every sign escaped.
        const way = (i: number) => (text.includes('\\') && choice[i] === 7 ? 0 : (choice[i] as number));
        const written = [...text].map((c, i) => ways[way(i)]?.(c)).join('');
        expect(scrubText(`before ${written} after`, spellings([text]))).toBe('before [redacted] after');
      }),
      { numRuns: 1000 },
    );
  });
});

it('no answer and no secret in it can make the search for secrets last for ever', () => {
  const secret = `${'\\\\'.repeat(60)}z`;
  expect(scrubText(`x${'\\\\'.repeat(5000)}y ${JSON.stringify(secret)}`, spellings([secret]))).toContain('[redacted]');
  expect(parseJson(`1234567890123456 "${'\\"'.repeat(400_000)}`)).toBeUndefined();
});
