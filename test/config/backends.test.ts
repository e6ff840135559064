// The configuration of backends and tools: mistakes are found with their line when the file is read, and the
// examples of the guide are valid.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseConfig } from '../../src/config/load.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { settingsSchema } from '../../src/decision/settings.ts';
import { parseYaml } from '../../src/formats/yaml/yaml.ts';

const YAML = `version: 1
identity: { keys: { file: clients.json } }
backends:
  app:
    url: https://app.example
    credentials: { user: { env: A }, password: { env: B } }
    login:
      - request: { path: /login }
        extract: { token: { form_field: t }, page: { hidden_fields: true } }
      - compose: { pair: "{credentials.user}:{token}", auth: { base64: "{pair}" } }
        request: { method: POST, path: /login, hidden_fields: page, form: { p: "{credentials.password}" } }
        expect: { status: 302 }
    session:
      cookies: [S, { matching: '^x' }]
      values: [auth]
      public: [auth]
      headers: { X-Auth: "{session.auth}" }
    csrf:
      request: { path: /token }
      extract: { token: { regex: 'token=(\\w+)' } }
      headers: { X-Csrf: "{csrf.token}" }
    expired: [{ status: 401 }]
    logout: { request: { method: POST, path: /logout, form: { t: "{csrf.token}" } } }
tools:
  list:
    backend: app
    description: List
    effect: read
    arguments: { type: object, properties: { q: { type: string } } }
    request: { path: /list, query: { q: "{q}", page: "{page}" } }
    pages: { by: number, items: /items }
    result: { jmespath: "items[]", wrap: items, schema: { type: object } }
  put:
    backend: app
    description: Put
    effect: write
    arguments: { type: object, properties: { q: { type: string } } }
    request: { method: POST, path: /put, xml: "<a>{q}</a>" }
`;
const parse = (text: string) => parseConfig({ text, file: 'connector.yaml', baseDir: '/base', env: {} });
const problems = (text: string): string[] => {
  const parsed = parse(text);
  return parsed.ok ? [] : parsed.problems.map(({ line, path, message }) => `${line} ${path}: ${message}`);
};

it('the file that these tests change is valid', () => expect(problems(YAML)).toEqual([]));

describe('a mistake is found', () => {
  it.each([
    [
      'a composition of something nobody extracted',
      '"{credentials.user}:{token}"',
      '"{credentials.user}:{tokne}"',
      'login.1.compose.pair: nothing fills the placeholder {tokne}',
    ],
    [
      'a composition that uses a later composition',
      'compose: { pair: "{credentials.user}:{token}", auth: { base64: "{pair}" } }',
      'compose: { auth: { base64: "{pair}" }, pair: "{token}" }',
      'nothing fills the placeholder {pair}',
    ],
    [
      'two encodings at once',
      '{ base64: "{pair}" }',
      '{ base64: "{pair}", hex: "{pair}" }',
      'one of base64, base64url',
    ],
    [
      'hidden fields nobody extracted',
      'hidden_fields: page',
      'hidden_fields: token',
      'no earlier step extracts hidden_fields under "token"',
    ],
    [
      'hidden fields used as text',
      'values: [auth]',
      'values: [page]',
      'no login step extracts or composes "page" as text',
    ],
    [
      'a step that does nothing',
      '      - request: { path: /login }\n        extract',
      '      - extract',
      'a step has a request',
    ],
    ['an invalid pattern', 'token=(\\w+)', 'token=(\\w+', 'is not a regular expression'],
    ['a pattern with two groups', 'token=(\\w+)', '(t)oken=(\\w+)', 'has 2 groups; 1 is needed'],
    ['an invalid pattern of cookie names', "'^x'", "'['", 'is not a regular expression'],
    [
      'one object where a list of conditions is needed',
      'expired: [{ status: 401 }]',
      'expired: { status: 401 }',
      'expected array',
    ],
    [
      'a condition that tests nothing',
      'expired: [{ status: 401 }]',
      'expired: [{ before_effect: true }]',
      'a condition needs at least one of status',
    ],
    ['an unknown condition', 'expired: [{ status: 401 }]', 'expired: [{ staus: 401 }]', 'unknown key "staus"'],
    [
      'a renewed value that is not kept',
      'public: [auth]',
      'renew: { token: { header: X-T } }',
      '"token" is not among "values"',
    ],
    ['a public value that is not kept', 'public: [auth]', 'public: [token]', '"token" is not among "values"'],
    [
      'a session without cookies, values or headers',
      'cookies: [S, { matching: \'^x\' }]\n      values: [auth]\n      public: [auth]\n      headers: { X-Auth: "{session.auth}" }',
      'one_at_a_time: true',
      'a session needs at least one of cookies',
    ],
    ['a session value in a query', 'query: { q: "{q}"', 'query: { q: "{session.auth}"', 'does not belong into a URL'],
    ['a session value in a path', 'path: /token }', 'path: "/token/{session.auth}" }', 'does not belong into a URL'],
    [
      'a CSRF token that nothing fetches',
      'xml: "<a>{q}</a>"',
      'xml: "<a>{csrf.tokne}</a>"',
      'nothing fills the placeholder {csrf.tokne}',
    ],
    [
      'a header that the connector itself sets',
      'headers: { X-Csrf:',
      'headers: { Cookie:',
      'the connector sets these headers itself',
    ],
    ['two bodies', 'xml: "<a>{q}</a>"', 'xml: "<a>{q}</a>", json: {}', 'a request has one body'],
    [
      'a GET request with a body',
      'request: { path: /token }',
      'request: { path: /token, json: {} }',
      'a GET or HEAD request has no body',
    ],
    ['XML that is not well-formed', '<a>{q}</a>', '<a>{q}</b>', 'is not well-formed XML'],
    [
      'an invalid content type',
      'xml: "<a>{q}</a>"',
      'xml: "<a>{q}</a>", content_type: "xml\\r\\nX: y"',
      'a media type',
    ],
    ['pages on a tool that writes', 'effect: read', 'effect: write', 'only a tool with "effect: read" has pages'],
    ['pages that the request never names', ', page: "{page}"', '', 'the request must use "{page}" somewhere'],
    [
      'a page number without pages',
      'pages: { by: number, items: /items }',
      'title: x',
      'nothing fills the placeholder {page}',
    ],
    ['pages by cursor without a place for it', 'by: number', 'by: cursor', 'needed with "by: cursor"'],
    ['pages by an offset without a size', 'by: number', 'by: offset', 'needed with "by: offset"'],
    ['an invalid JMESPath expression', '"items[]"', '"items[*"', 'is not a JMESPath expression'],
    [
      'a result schema that is not of an object',
      'schema: { type: object }',
      'schema: { type: array }',
      'must have "type": "object"',
    ],
    ['a selector for JSON', 'wrap: items', 'wrap: items, select: "#a"', 'only with "as: html"'],
    [
      'an invalid CSS selector',
      'result: { jmespath: "items[]", wrap: items, schema: { type: object } }',
      'result: { as: html, select: "#a[[" }',
      'is not a CSS selector',
    ],
    [
      'a binary result without content types',
      'result: { jmespath: "items[]", wrap: items, schema: { type: object } }',
      'result: { as: binary }',
      'say which content types',
    ],
    [
      'a location without a redirect',
      'result: { jmespath: "items[]", wrap: items, schema: { type: object } }',
      'result: { as: location }',
      'needs "expect" with a redirect_to',
    ],
    [
      'accounts without a file or map',
      '    login:',
      '    accounts: { by: client }\n    login:',
      'give one of "file", "env" and "map"',
    ],
    [
      'accounts by claim when clients have only API keys',
      '    login:',
      '    accounts: { by: { claim: x }, file: f }\n    login:',
      'API keys have no claims',
    ],
    [
      'accounts with different sets of credentials',
      '    login:',
      '    accounts: { by: client, map: { a: { x: { env: A } }, b: { y: { env: A } } } }\n    login:',
      'has the credentials y, others have x',
    ],
    [
      'a credential that is given for all and for one account',
      '    login:',
      '    accounts: { by: client, map: { a: { user: { env: A } } } }\n    login:',
      'stands under "credentials" as well',
    ],
  ])('%s', (_name, before, after, message) => {
    expect(YAML).toContain(before);
    const found = problems(YAML.replace(before, after));
    expect(found.join('\n')).toContain(message);
    expect(found.join('\n')).not.toMatch(/^0 /m);
  });
});

describe('the guide', () => {
  const guide = readFileSync(join(PACKAGE_ROOT, 'docs/legacy-systems.md'), 'utf8');
  const blocks = [...guide.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block as string);
  const logins = blocks
    .filter((block) => /^(# [A-G] |login:)/.test(block))
    .flatMap((block) => block.split(/\n(?=# [A-G] )/));
  const indent = (text: string) => text.replace(/^(?=.)/gm, '    ');
  const HEAD = `version: 1\nidentity: { keys: { file: c.json } }\ntools: {}\nbackends:\n  crm:\n    url: https://crm.example\n    credentials: { user: { env: A }, password: { env: B } }\n    expired: [{ status: 401 }]\n`;

  it('has an example for every login of its decision tree, and each is valid as written', () => {
    expect(logins.map((login) => /^# ([A-G])/.exec(login)?.[1] ?? '-').join('')).toBe('ABCDEFG-');
    for (const login of logins) expect(problems(HEAD + indent(login)), login).toEqual([]);
  });

  it('has other examples, which are valid too', () => {
    const [logout, csrf, tools] = ['logout:', 'csrf:', 'tools:'].map((key) =>
      blocks.find((block) => block.startsWith(key)),
    );
    const backend = `login: [{ request: { path: / } }]\nsession: { cookies: [S] }\n${csrf}${logout}`;
    expect(problems(`${HEAD.replace('tools: {}\n', '')}${indent(backend)}\n${tools}`)).toEqual([]);
  });

  it('has tables in which every condition is valid', () => {
    const rows = (heading: string) => {
      const part = guide.slice(guide.indexOf(heading));
      const table = part.slice(0, part.indexOf('\n\n`') > 0 ? part.indexOf('\n\n`') : undefined);
      return [...table.matchAll(/^\| .* \| `(- .*?)`/gm)].map(([, way]) => way as string);
    };
    const ways = rows('## 4. How does its end look?');
    expect(ways.length).toBeGreaterThanOrEqual(7);
    for (const way of ways) {
      const text = `${HEAD.replace('expired: [{ status: 401 }]\n', '')}expired:\n      ${way}\n    login: [{ request: { path: / } }]\n    session: { cookies: [S] }\n`;
      expect(problems(text), way).toEqual([]);
    }
  });
});

it('the examples in configuration.md are valid', () => {
  const reference = readFileSync(join(PACKAGE_ROOT, 'docs/configuration.md'), 'utf8');
  const blocks = [...reference.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block as string);
  const smallest = blocks.find((block) => block.startsWith('version: 1')) as string;
  const backend = blocks.find((block) => block.startsWith('backends:\n  inventory:')) as string;
  const tool = blocks.find((block) => block.startsWith('tools:\n  stock_adjust:')) as string;
  expect(problems(smallest)).toEqual([]);
  expect(problems(`version: 1\nidentity: { keys: { file: c.json } }\n${backend}${tool}`)).toEqual([]);
});

it('examples/data.yaml has the numbers of the default settings, and none of the names of the demo', () => {
  const read = (path: string) => {
    const text = readFileSync(join(PACKAGE_ROOT, path), 'utf8');
    const parsed = parseYaml(text, z.strictObject({ settings: settingsSchema }), { file: path });
    if (!parsed.ok) throw new Error(parsed.problems.map((p) => p.message).join());
    return parsed.value.settings;
  };
  const [usual, start] = [read('policies/data.yaml'), read('examples/data.yaml')];
  const names = { roles: { agent: { tools: [] } }, scopes: {}, masks: {}, hide_without_scope: false };
  expect(start).toEqual({ ...usual, access: names, backends: {}, tools: {} });
});

it('a missing key is reported as missing', () => {
  const found = problems(YAML.replace('    expired: [{ status: 401 }]\n', ''));
  expect(found).toEqual([expect.stringMatching(/^\d+ backends\.app\.expired: is missing \(array\)$/)]);
});
