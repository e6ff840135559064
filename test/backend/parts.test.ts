import fc from 'fast-check';
import { CookieJar } from 'tough-cookie';
import { describe, expect, it, vi } from 'vitest';
import { extract } from '../../src/backend/answer/extract.ts';
import { scrub, secretsOf, spellings } from '../../src/backend/answer/scrub.ts';
import { judge } from '../../src/backend/answer/verdict.ts';
import { createJar } from '../../src/backend/http/jar.ts';
import { type BackendResponse, responseOf } from '../../src/backend/http/response.ts';
import { backendSchema } from '../../src/config/schema/backend.ts';
import { type Extraction, extractSchema } from '../../src/config/schema/extraction.ts';
import { formFields } from '../../src/formats/html/fields.ts';
import { withoutAbsent } from '../../src/formats/xml.ts';

describe('R-53: the end of a session', () => {
  const config = backendSchema.parse({
    url: 'http://legacy:8080/app',
    login: [{ request: { path: '/' } }],
    session: { cookies: ['S'] },
    expired: [
      { status: 401 },
      { redirect_to: '/login' },
      { form_field: 'j_password' },
      { body_contains: ['Session timed out', 'Please log in'] },
    ],
  });
  const base = new URL(config.url);
  const response = (changes: Partial<BackendResponse>): BackendResponse => ({
    status: 200,
    contentType: 'text/html',
    location: undefined,
    setCookies: [],
    header: () => undefined,
    headers: () => [],
    bytes: Buffer.alloc(0),
    body: '',
    document: undefined,
    ...changes,
  });
  it.each([
    ['401', { status: 401 }, 'expired'],
    ['a redirect to the login page', { status: 302, location: '/app/login' }, 'expired'],
    [
      'the login page with a session id in its path',
      { status: 302, location: '/app/login;jsessionid=AB?x=1' },
      'expired',
    ],
    ['the login page as an absolute URL', { status: 303, location: 'http://legacy:8080/app/login/form' }, 'expired'],
    ['the login page with status 200', { body: '<form><INPUT type=password name="j_password"></form>' }, 'expired'],
    ['a text in the body', { contentType: 'application/json', body: '{"e":"Session timed out"}' }, 'expired'],
    ['a page that only mentions the field', { body: '<p>name="j_password"</p>' }, 'good'],
    [
      'JSON with the same text',
      { contentType: 'application/json', body: '{"html":"<input name=\\"j_password\\">"}' },
      'good',
    ],
    [
      'a redirect to a page whose path begins like that of the login page',
      { status: 302, location: '/app/loginhelp' },
      'redirected: to another page',
    ],
    [
      'a redirect to another host',
      { status: 302, location: 'http://evil.example/app/login' },
      'redirected: to another origin',
    ],
    [
      'another host without a scheme',
      { status: 302, location: '//evil.example/app/login' },
      'redirected: to another origin',
    ],
    ['a redirect to an unreadable URL', { status: 302, location: 'http://[' }, 'redirected: to another origin'],
    ['data', { contentType: 'application/json', body: '{}' }, 'good'],
  ])('%s', (_name, changes, kind) => {
    const verdict = judge(response(changes as Partial<BackendResponse>), config, { request: {} }, base);
    expect('detail' in verdict ? `${verdict.kind}: ${verdict.detail}` : verdict.kind).toBe(kind);
  });
});

it('form fields are read as a browser reads them', () => {
  const fields = formFields(
    '<!-- <input name=a value=no> --><script>"<input name=a value=no>"</script><input name=a value="1&amp;2"><input name=a value=3><input name=empty>',
  );
  expect([...fields]).toEqual([
    ['a', '1&2'],
    ['empty', ''],
  ]);
});

describe('R-51, R-52: cookies', () => {
  const url = 'http://legacy.example/app/page';
  it('obey Domain, Path, Secure and prefixes', () => {
    const jar = createJar();
    jar.store(
      [
        'JSESSIONID=1; Path=/app',
        'other=1; Path=/else',
        's=1; Secure',
        'd=1; Domain=evil.example',
        'c=1; Domain=com',
        '__Host-x=1; Path=/',
        '__Secure-y=1',
      ],
      url,
    );
    expect(jar.header(url)).toBe('JSESSIONID=1');
    expect(jar.header('http://evil.example/app')).toBeUndefined();
    expect(jar.header('http://legacy.example/')).toBeUndefined();
  });
  it('are kept only when they are named', () => {
    const jar = createJar();
    jar.store(['JSESSIONID=1', 'REMEMBER_ME=2'], url);
    expect(createJar(jar.keep(['JSESSIONID'])).header(url)).toBe('JSESSIONID=1');
  });
  it('can be removed by the server', () => {
    const jar = createJar();
    jar.store(['JSESSIONID=1'], url);
    jar.store(['JSESSIONID=; Max-Age=0'], url);
    expect(jar.value('JSESSIONID')).toBeUndefined();
  });
  it('go with a request as tough-cookie says, although their header is remembered', () => {
    const paths = [
      '/',
      '/app',
      '/app/',
      '/app/page',
      '/application',
      '/else',
      '/app/a/b?x=/else',
      '/my%20app/x',
      '/%61pp/x',
    ];
    const setCookies = fc.array(
      fc.record({
        name: fc.constantFrom('a', 'b', 'c'),
        value: fc.constantFrom('1', '2', ''),
        path: fc.constantFrom('', '; Path=/', '; Path=/app', '; Path=/app/a', '; Path=/else', '; Path=/my app'),
        end: fc.constantFrom('', '', '; Max-Age=0', '; Max-Age=3600'),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(fc.array(setCookies, { maxLength: 4 }), (answers) => {
        const [jar, plain] = [createJar(), new CookieJar()];
        for (const answer of answers) {
          const texts = answer.map(({ name, value, path, end }) => `${name}=${value}${path}${end}`);
          jar.store(texts, url);
          for (const text of texts) plain.setCookieSync(text, url, { ignoreError: true });
          for (const path of [...paths, ...paths]) {
            const at = `http://legacy.example${path}`;
            expect(jar.header(at)).toBe(plain.getCookieStringSync(at) || undefined);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
  it('stop going with requests when their time is over', () => {
    vi.useFakeTimers({ now: 1_000_000 });
    try {
      const jar = createJar();
      jar.store(['short=1; Max-Age=10', 'long=2'], url);
      expect(jar.header(url)).toBe('short=1; long=2');
      vi.setSystemTime(1_000_000 + 9_999);
      expect(jar.header(url)).toBe('short=1; long=2');
      vi.setSystemTime(1_000_000 + 10_001);
      expect(jar.header(url)).toBe('long=2');
      expect(jar.over()).toBe(false);
      const short = createJar();
      short.store(['short=1; Max-Age=10'], url);
      expect([createJar().over(), short.over()]).toEqual([false, false]);
      vi.setSystemTime(1_000_000 + 20_002);
      expect(short.over()).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });
});

it('R-40: a backend token is blanked in every spelling, in values and in keys; ordinary text stays', () => {
  const token = 'A1B2/C3+D4==x';
  const bytes = Buffer.from(token);
  const secrets = spellings(
    secretsOf({ cookies: [{ key: 'S', value: token }], values: { short: 'abc', number: '8837465512' } }),
  );
  const document = {
    plain: `x${token}y`,
    url: encodeURIComponent(token),
    b64: bytes.toString('base64'),
    hex: bytes.toString('hex'),
    [token]: [token],
    text: 'abc',
    n: 1,
    nothing: null,
    csrf: 8837465512,
    html: 'x A1B2&#47;C3&#43;D4&#61;&#61;x',
    script: 'A1B2\\/C3+D4==x',
    inside: Buffer.from(`ab${token}c`).toString('base64'),
    lower: encodeURIComponent(token).toLowerCase().replace('a1b2', 'A1B2').replace('c3', 'C3').replace('d4', 'D4'),
  };
  const clean = JSON.stringify(scrub(document, secrets));
  expect(clean).not.toContain(token);
  expect(clean).not.toContain('8837465512');
  expect(clean.match(/\[redacted\]/g)?.length).toBeGreaterThanOrEqual(9);
  for (const spelling of secrets) expect(clean).not.toContain(spelling);
  expect(JSON.parse(clean)).toMatchObject({ text: 'abc', n: 1, nothing: null });
});

it('R-40: an Express cookie, stored encoded, is blanked in its decoded form too', () => {
  const secrets = spellings(['s%3Aabcdef123.sig%2B%2F9']);
  expect(scrub('your session s:abcdef123.sig+/9 is ok', secrets)).toBe('your session [redacted] is ok');
});

describe('extractions within what another has found', () => {
  const answer = (body: string, contentType = 'application/json') =>
    responseOf({
      status: 200,
      headers: { 'content-type': contentType, 'x-state': '{"t":"from-header"}' },
      body: Buffer.from(body),
    });
  const page =
    '<meta name=csrf content=from-meta><form id=f><input type=hidden name=tok value=from-field></form><script>var s = {"t":"from-script"};</script>';
  const inJson = JSON.stringify({ html: page, n: { text: '{"t":"from-text"}' } });

  it.each<[string, Extraction, unknown]>([
    ['a field of a page in a JSON document', { form_field: 'tok', in: { json: '/html' } }, 'from-field'],
    ['its <meta>', { meta: 'csrf', in: { json: '/html' } }, 'from-meta'],
    ['its hidden fields', { hidden_fields: true, in: { json: '/html' } }, { tok: 'from-field' }],
    ['a pattern in it', { regex: 't":"([a-z-]+)', in: { json: '/html' } }, 'from-script'],
    [
      'JSON in a script in it',
      { json: '/t', in: { regex: 'var s = (\\{.*?\\});', in: { json: '/html' } } },
      'from-script',
    ],
    ['JSON in a text of it', { json: '/t', in: { json: '/n/text' } }, 'from-text'],
    ['JSON in a header', { json: '/t', in: { header: 'X-State' } }, 'from-header'],
    ['what is not there', { json: '/t', in: { json: '/none' } }, undefined],
    ['what is no JSON', { json: '/t', in: { json: '/html' } }, undefined],
  ])('%s', (_name, extraction, value) => {
    expect(extractSchema.safeParse(extraction).success).toBe(true);
    expect(extract(extraction, answer(inJson), createJar())).toEqual(value);
  });

  it('a header has no text within it that is looked into, and nothing is looked into twice', () => {
    for (const wrong of [
      { header: 'X', in: { json: '' } },
      { cookie: 'S', in: { json: '' } },
      { regex: '(a)', header: 'X', in: { json: '' } },
      { json: '/a', in: { hidden_fields: true } },
    ])
      expect(extractSchema.safeParse(wrong).success).toBe(false);
  });
});

describe('windows-1252, which every name of Latin-1 and ASCII means', () => {
  it.each(['windows-1252', 'iso-8859-1', 'latin1', 'us-ascii', 'cp1252', 'ISO8859-1', 'l1'])('%s', (charset) => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const { body } = responseOf({
      status: 200,
      headers: { 'content-type': `text/plain; charset=${charset}` },
      body: bytes,
    });
    expect([...body]).toHaveLength(256);
    expect(body.slice(0x80, 0xa0)).toBe('€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ');
    expect(body.slice(0, 0x80) + body.slice(0xa0)).toBe(bytes.toString('latin1').replace(/[\x80-\x9f]/g, ''));
  });
});

describe('R-91: an XML template without what is not given', () => {
  const without = (template: string) => withoutAbsent(template, (part) => part.includes('{no}'));
  it.each([
    [
      '<?xml version="1.0"?><a x="1" y="{no}"><b>é𝒳{yes}</b><c>z {no}</c></a>',
      '<?xml version="1.0"?><a x="1"><b>é𝒳{yes}</b></a>',
    ],
    ["<a><d><e>{no}</e>t</d><f g='{no}'/></a>", '<a><d>t</d><f/></a>'],
    ['<a>𝒳<b>\n{no}<c/>t</b>𝒳</a>', '<a>𝒳𝒳</a>'],
    ['<a><!-- <b> --><![CDATA[<b>]]><b q="a>b">{no}</b></a>', '<a><!-- <b> --><![CDATA[<b>]]></a>'],
    ['<a>\r\n<b>1</b>\r\n<b>{no}</b>\r\n</a>', '<a>\r\n<b>1</b>\r\n\r\n</a>'],
    ['<a>{no}</a>', ''],
    ['<a>{yes}</a>', '<a>{yes}</a>'],
  ])('%s', (template, left) => {
    expect(without(template)).toBe(left);
  });
});
