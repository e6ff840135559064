// the session in an answer, in whatever form. What can be blanked is; an answer that holds more is withheld.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scrub, scrubText, spellings } from '../../src/backend/answer/scrub.ts';
import { holdsEncoded, holdsEncodedJson, holdsSecret } from '../../src/backend/answer/views.ts';
import type { Json } from '../../src/formats/json.ts';
import { ENCODINGS, zipOf } from '../support/encodings.ts';
import { textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { call, connect, connector, connectWith, ok, serveAll, yamlOf } from '../support/one-app.ts';

const TOKENS = ['Zk3v9QpX7mB2tRw8LcY5hN4d', '0f9e8d7c6b5a49382716f5e4d3c2b1a0', 'kT9+xY/3bQ==qq8ZpW~r.7-x_'];
const EXPIRED = 'expired: [{ status: 401 }]';

/** A backend whose session is this value, and which answers like this. */
async function serveSession(token: string, body: string | Buffer, type = 'text/plain'): Promise<void> {
  await serveAll((request, response) => {
    if (request.url === '/login') return response.writeHead(200, { 'set-cookie': `S=${token}; Path=/` }).end();
    return ok(response, body, { 'content-type': type });
  });
}

describe.each(TOKENS)('R-40: of %s no encoding leaves', (token) => {
  const secrets = spellings([token], { pieces: true });
  it.each(Object.entries(ENCODINGS))('%s', (_name, encode) => {
    const written = encode(token);
    const clean = scrubText(`before ${written} after`, secrets);
    expect(clean.includes(written) && !holdsEncoded(clean, secrets)).toBe(false);
    const value: Json = { page: [`before ${written} after`], [written]: 1 };
    const kept = JSON.stringify(scrub(value, secrets));
    expect(kept.includes(JSON.stringify(written).slice(1, -1)) && !holdsEncodedJson(kept, secrets)).toBe(false);
  });
});

describe('R-40: at the front door', () => {
  it.each(['percent codes for every byte', 'decimal references', 'the first 80 %'])('%s is blanked', async (name) => {
    const token = TOKENS[0] as string;
    await serveSession(token, `before ${ENCODINGS[name]?.(token)} after`);
    await connect(EXPIRED);
    expect(textOf(await call('page'))).toBe('before [redacted] after');
  });

  it.each([
    'base64 twice',
    'gzip in base64',
    'a ZIP archive in base64',
    'hex with spaces',
  ])('%s withholds the answer', async (name) => {
    const token = TOKENS[0] as string;
    await serveSession(token, `before ${ENCODINGS[name]?.(token)} after`);
    await connect(EXPIRED);
    const read = await call('page');
    expect(reasons(read)).toEqual(['backend.response_unusable']);
    expect(read.text).not.toContain('before');
    // A write was done, and nobody is told otherwise.
    const write = await call('put');
    expect(textOf(write)).toMatch(/^The call was done, and its answer is withheld.*Do not repeat the call/);
    expect(write.body.result._meta['sallyport/outcome']).toBe('done_answer_withheld');
    expect((await connector.audit('outcome')).map(({ outcome }) => outcome)).toEqual([
      'refused',
      'done_answer_withheld',
    ]);
  });

  it.each([
    ['gzip inside', (token: string) => Buffer.concat([Buffer.from('%PDF-1.7 '), gzipSync(`x ${token}`)])],
    ['an entry of a ZIP archive', (token: string) => zipOf(`<w:t>${token}</w:t>`)],
    ['UTF-16', (token: string) => Buffer.from(`x ${token} y`, 'utf16le')],
  ])('a document with the session in %s is withheld', async (_name, make) => {
    const token = TOKENS[0] as string;
    const tools =
      'doc: { backend: app, description: D, effect: read, request: { path: /d }, result: { as: binary, media_types: [application/zip] } }';
    await serveSession(token, make(token), 'application/zip');
    await connect(EXPIRED, tools);
    expect(reasons(await call('doc'))).toEqual(['backend.response_unusable']);
  });

  it('what goes wrong while an answer is read does not tell a write as not done', async () => {
    await serveSession(TOKENS[0] as string, '{"a":1}', 'application/json');
    await connect(
      EXPIRED,
      'set: { backend: app, description: S, effect: write, request: { method: POST, path: /s }, result: { jmespath: "to_number(a) | items(@)" } }',
    );
    const { body } = await call('set');
    expect(body.result._meta['sallyport/outcome']).toBe('done_answer_unreadable');
    expect(body.result.isError).toBe(true);
  });

  it('the parts of a value that the login composed are secrets like the whole, a login name is not', async () => {
    await serveAll((request, response) => {
      if (request.url === '/login')
        return ok(response, '{"id":"session-77aa","key":"9b1d-key-4f"}', {
          'content-type': 'application/json',
          'set-cookie': 'S=abcdefgh',
        });
      return ok(response, 'user anna, id session-77aa, key 9b1d-key-4f');
    });
    const yaml = yamlOf(EXPIRED, '')
      .replace(
        'login: [{ request: { method: POST, path: /login } }]',
        `login:
      - { request: { method: POST, path: /login }, extract: { id: { json: /id }, key: { json: /key } } }
      - { compose: { auth: { base64: "{credentials.user}:{id}:{key}" } } }`,
      )
      .replace(
        'session: { cookies: [S] }',
        'session: { cookies: [S], values: [auth], headers: { X-Auth: "{session.auth}" } }',
      );
    await connectWith(yaml);
    expect(textOf(await call('page'))).toBe('user anna, id [redacted], key [redacted]');
  });
});

describe('R-40: what holds no secret comes back as it is', () => {
  const secrets = spellings(TOKENS, { pieces: true });
  it('documents of any kind', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        expect(scrub(value as Json, secrets)).toEqual(value);
        expect(holdsEncodedJson(JSON.stringify(value), secrets)).toBe(false);
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => !holdsSecret(Buffer.from(bytes), secrets)));
  });

  it('a piece that is an ordinary part of a URL, and a word of a password', () => {
    const url = spellings(['https://inventory.example/api/sessions/1234'], { pieces: true });
    expect(scrubText('https://inventory.example/api/items/77', url)).toBe('https://inventory.example/api/items/77');
    const password = spellings(['correct-horse-battery']);
    expect(scrubText('a correct-horse story', password)).toBe('a correct-horse story');
  });

  it('values that look alike: UUIDs of one host, neighbours, words, addresses', () => {
    for (const [secret, text] of [
      ['3f2a1b4c-9d3e-11ee-9f5a-0242ac120002', '77777777-1111-11ee-9f5a-0242ac120002'],
      ['65f1a2b3c4d5e6f7a8b9c0d1', '65f1a2b3c4d5e6f7a8b9c0d9'],
      ['customer-portal', 'customer-service'],
      ['inventory-user', 'the inventory'],
      ['al2@customer-services.example.org', 'bob@customer-services.example.org'],
      ['https://eu5.salesforce.example', 'see eu5.salesforce.example/x'],
    ] as const)
      expect(scrubText(text, spellings([secret], { pieces: true }))).toBe(text);
  });

  it('a value with separators is found in pieces, too', () => {
    const wordpress = 'admin|1795424400|Zk3v9QpX7mB2tRw8LcY5|0f9e8d7c6b5a4938';
    const found = spellings([wordpress], { pieces: true });
    expect(scrubText(`x ${wordpress.slice(6)} y`, found)).toBe('x [redacted] y');
    expect(holdsEncoded(`x ${encodeURIComponent(wordpress.slice(6))} y`, found)).toBe(true);
  });

  it('a very long value, as a signed token, is found and breaks nothing', () => {
    const token = Array.from({ length: 12_000 }, (_, i) => 'Zk3v9QpX7mB2_-'[(i * 7) % 14]).join('');
    const found = spellings([token], { pieces: true });
    expect(scrubText(`Caf&#65; ${token} %41`, found)).toBe('Caf&#65; [redacted] %41');
    expect(holdsEncoded(scrubText(ENCODINGS['percent codes for every byte']?.(token) ?? '', found), found)).toBe(true);
  });

  it('names that are blanked alike stay apart', () => {
    const [token] = TOKENS as [string];
    const value = { [token]: 1, [`${Buffer.from(token).toString('hex')}`]: 2 };
    expect(scrub(value, secrets)).toEqual({ '[redacted]': 1, '[redacted] 2': 2 });
  });

  it('no answer can make the search last for ever', () => {
    const began = process.cpuUsage().user;
    const hostile = [
      '%25',
      '&amp;#',
      '\\\\',
      '0x39, ',
      'H4sI',
      'PK\x03\x04',
      'x\x9c',
      'A'.repeat(20),
      '39 ',
      '\n',
      '&#',
      '\\u',
    ];
    for (const text of hostile) for (const size of [262_144]) holdsEncoded(text.repeat(size / text.length), secrets);
    holdsSecret(Buffer.alloc(10_000_000, 'x\x9c', 'latin1'), secrets);
    holdsSecret(Buffer.from(`\xff${'A'.repeat(6_000_000)}`, 'latin1'), secrets);
    holdsSecret(gzipSync(Buffer.alloc(64 * 1024 * 1024)), secrets);
    holdsSecret(Buffer.concat(Array.from({ length: 400 }, () => gzipSync(Buffer.alloc(3_000_000)))), secrets);
    // A generous bound on CPU time: a search that is more than linear would take minutes.
    expect(process.cpuUsage().user - began).toBeLessThan(20_000_000);
  });
});
