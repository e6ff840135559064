// Tools from OpenAPI documents: every operation accounted for, the same text always, and a configuration
// that passes its own check.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { run } from '../support/cli.ts';
import { legacyServer } from '../support/fronted.ts';
import type { Loose } from '../support/harness.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-openapi-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const HEAD = `version: 1
identity: { keys: { file: clients.json } }
backends:
  app:
    url: https://app.example
    login: [{ request: { path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
`;
/** What the connector makes of the tools. */
const load = (tools: string) => {
  const parsed = parseConfig({ text: HEAD + tools, file: 'connector.yaml', baseDir: dir, env: {} });
  if (!parsed.ok) throw new Error(parsed.problems.map((p) => `${p.path}: ${p.message}`).join('\n'));
  return parsed.config.tools;
};
const write = (document: unknown, name = 'api.json') => {
  const file = join(dir, name);
  writeFileSync(file, typeof document === 'string' ? document : JSON.stringify(document));
  return file;
};
const importing = (source: string, ...more: string[]) =>
  run(['import', 'openapi', source, '--backend', 'app', ...more], { cwd: dir });
const document = (paths: object, more: object = {}) => ({
  openapi: '3.0.3',
  info: { title: 'T', version: '1' },
  paths,
  ...more,
});
const ok = { responses: { 200: { description: 'ok', content: { 'application/json': {} } } } };
const json = (schema: object, required = true) => ({
  requestBody: { required, content: { 'application/json': { schema } } },
});
/** The one tool of a document with this operation. */
async function tool(operation: object, { method = 'post', path = '/x', more = {} } = {}): Promise<Loose> {
  const { code, stdout, stderr } = await importing(
    write(document({ [path]: { [method]: { ...ok, ...operation } } }, more)),
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return Object.values(load(stdout))[0];
}

describe.skipIf(inject('github') === null)("GitHub's REST API (needs tools/openapi)", () => {
  const file = inject('github') ?? '';

  it('every operation is a tool or is named, twice the same, and the connector takes all of them', async () => {
    const source = JSON.parse(readFileSync(file, 'utf8')) as { paths: Record<string, Record<string, unknown>> };
    const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
    const operations = Object.entries(source.paths).flatMap(([path, item]) =>
      methods.filter((method) => method in item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const [first, second] = [await importing(file), await importing(file)];
    expect(first.code).toBe(0);
    expect(second.stdout).toBe(first.stdout);
    expect(first.stderr).toBe(`${operations.length} operations: ${operations.length} tools, 0 left out\n`);
    const tools = load(first.stdout);
    expect(operations.length).toBe(706);
    expect(Object.keys(tools)).toHaveLength(operations.length);
    // Each tool is one of the operations, with its method.
    const made = Object.values(tools).map(
      ({ request }) => `${request.method} ${request.path.replace(/\{[^}]*\}/g, '{}')}`,
    );
    expect(made.sort()).toEqual(operations.map((operation) => operation.replace(/\{[^}]*\}/g, '{}')).sort());
    expect(tools.issues_create).toMatchObject({
      effect: 'write',
      request: { method: 'POST', path: '/repos/{owner}/{repo}/issues', json: { title: '{title}', labels: '{labels}' } },
      arguments: { required: ['owner', 'repo', 'title'] },
      result: { as: 'json' },
    });
    expect(tools.repos_delete).toMatchObject({ effect: 'destructive', idempotent: true, result: { as: 'status' } });
    expect(tools.issues_list_for_repo).toMatchObject({ effect: 'read', request: { query: { state: '{state}' } } });
  });
});

describe('effects', () => {
  it.each([
    ['get', 'list_pets', 'read', undefined],
    ['get', 'getUpdateStatus', 'read', undefined],
    ['get', 'settings', 'read', undefined],
    ['get', 'deleteEverything', 'write', undefined],
    ['get', 'cart/clear', 'write', undefined],
    ['head', 'pet_exists', 'read', undefined],
    ['post', 'searchPets', 'write', undefined],
    ['put', 'replacePet', 'write', true],
    ['patch', 'changePet', 'write', undefined],
    ['delete', 'removePet', 'destructive', true],
  ])('%s %s is a %s', async (method, operationId, effect, idempotent) => {
    const made = await tool({ operationId }, { method });
    expect([made.effect, made.idempotent]).toEqual([effect, idempotent]);
  });
});

describe('arguments', () => {
  it('from path, query, header and body; equal names are told apart; what the connector sets is left to it', async () => {
    const parameter = (
      name: string,
      place: string,
      schema: object = { type: 'string' },
      required = place === 'path',
    ) => ({ name, in: place, schema, required });
    const made = await tool(
      {
        parameters: [
          parameter('id', 'path'),
          parameter('id', 'query'),
          parameter('filter[state]', 'query'),
          parameter('tags', 'query', { type: 'array', items: { type: 'string' } }),
          parameter('X-Trace', 'header'),
          parameter('Authorization', 'header'),
          parameter('deep', 'query', { type: 'object' }),
        ],
        ...json({
          type: 'object',
          required: ['id'],
          properties: { id: { type: 'integer' }, made: { type: 'string', readOnly: true } },
        }),
      },
      { path: '/a/{id}/b' },
    );
    expect(made.request).toMatchObject({
      path: '/a/{id}/b',
      query: { id: '{query_id}', 'filter[state]': '{filter_state}', tags: '{tags}' },
      headers: { 'X-Trace': '{X-Trace}' },
      json: { id: '{body_id}' },
    });
    expect(Object.keys(made.arguments.properties)).toEqual([
      'id',
      'query_id',
      'filter_state',
      'tags',
      'X-Trace',
      'body_id',
    ]);
    expect(made.arguments.required).toEqual(['id', 'body_id']);
  });

  it('schemas are turned into JSON Schema 2020-12, references and circles included', async () => {
    const Node = {
      type: 'object',
      properties: {
        next: { $ref: '#/components/schemas/Node' },
        at: { type: 'string', format: 'date-time', example: 'x' },
      },
    };
    const made = await tool(
      json({
        type: 'object',
        properties: {
          node: { $ref: '#/components/schemas/Node' },
          age: { type: 'integer', nullable: true, minimum: 0, exclusiveMinimum: true, format: 'int32' },
          odd: { type: 'string', format: 'x-unknown', pattern: '[', discriminator: { propertyName: 'x' }, xml: {} },
        },
      }),
      { more: { components: { schemas: { Node } } } },
    );
    expect(made.arguments.properties).toEqual({
      node: { $ref: '#/$defs/Node' },
      age: { type: ['integer', 'null'], exclusiveMinimum: 0, format: 'int32' },
      odd: { type: 'string' },
    });
    expect(made.arguments.$defs.Node.properties).toEqual({
      next: { $ref: '#/$defs/Node' },
      at: { type: 'string', format: 'date-time' },
    });
  });

  it('a body that is no object is one argument; a form and another media type keep their kind', async () => {
    expect(await tool(json({ type: 'array', items: { type: 'integer' } }))).toMatchObject({
      request: { json: '{body}' },
      arguments: { properties: { body: { type: 'array' } }, required: ['body'] },
    });
    const form = {
      requestBody: {
        content: {
          'application/x-www-form-urlencoded': { schema: { type: 'object', properties: { a: { type: 'string' } } } },
        },
      },
    };
    expect(await tool(form)).toMatchObject({ request: { form: { a: '{a}' } } });
    const merge = {
      requestBody: {
        content: {
          'application/merge-patch+json': { schema: { type: 'object', properties: { a: { type: 'string' } } } },
        },
      },
    };
    expect(await tool(merge, { method: 'patch' })).toMatchObject({
      request: { json: { a: '{a}' }, content_type: 'application/merge-patch+json' },
    });
  });
});

it('what cannot be said is left out by name and reason', async () => {
  const required = (place: string, schema: object) => ({
    parameters: [{ name: 'p', in: place, required: true, schema }],
  });
  const file = write(
    document({
      '/a': { get: { ...ok, ...required('query', { type: 'object' }) }, trace: ok },
      '/b': { get: { ...ok, ...required('cookie', { type: 'string' }) } },
      '/c': { post: { ...ok, requestBody: { required: true, content: { 'multipart/form-data': {} } } } },
      '/d/{id}': { get: ok },
      '/e': { get: { ...ok, operationId: 'good' } },
    }),
  );
  const { code, stdout, stderr } = await importing(file);
  expect(code).toBe(0);
  expect(stderr.trim().split('\n')).toEqual([
    'left out: GET /a: the parameter "p" is an object',
    'left out: TRACE /a: TRACE is not a method of tools',
    'left out: GET /b: the parameter "p" is a cookie, which belongs to the session',
    'left out: POST /c: a body of type multipart/form-data cannot be made from a template',
    'left out: GET /d/{id}: the path has {id}, and no parameter describes it',
    '6 operations: 1 tools, 5 left out',
  ]);
  expect(stdout).toContain('#   GET /a: the parameter "p" is an object');
  expect(Object.keys(load(stdout))).toEqual(['good']);
  const { operations } = JSON.parse((await importing(file, '--json')).stdout);
  expect(operations).toHaveLength(6);
});

it('names are those of the field, unique, and do not depend on their neighbours', async () => {
  const long = 'a'.repeat(80);
  const paths = {
    '/a': { get: { ...ok, operationId: 'listPets' } },
    '/b': { get: { ...ok, operationId: 'list-pets' } },
    '/c': { get: ok },
    '/d': { get: { ...ok, operationId: long } },
  };
  const names = Object.keys(load((await importing(write(document(paths)))).stdout));
  const pets = expect.stringMatching(/^list_pets_[0-9a-f]{8}$/);
  expect(names).toEqual([expect.stringMatching(/^a{55}_[0-9a-f]{8}$/), 'get_c', pets, pets]);
  const prefixed = await importing(write(document(paths)), '--prefix', 'crm_', '--read-only', '-o', 'tools.yaml');
  expect([prefixed.code, prefixed.stdout]).toEqual([0, '']);
  expect(Object.keys(load(readFileSync(join(dir, 'tools.yaml'), 'utf8')))).toContain('crm_get_c');
  expect((await importing(write(document(paths)), '-o', 'tools.yaml')).stderr).toContain('tools.yaml exists');
});

it('text of a document stays text: it cannot change the file', async () => {
  const nasty = 'a: b\n  - c # d\n"} ${HOME} {{ {x} \u0007 *anchor &x !!js';
  const made = await tool(
    {
      operationId: 'x',
      summary: nasty,
      description: nasty,
      parameters: [
        { name: 'q', in: 'query', description: nasty, schema: { type: 'string', enum: [nasty, '${PATH}'] } },
      ],
    },
    { method: 'get', more: { info: { title: nasty, version: nasty } } },
  );
  expect(made.arguments.properties.q.enum).toEqual([nasty, '${PATH}']);
  expect(made.description).toContain('a: b - c # d');
});

describe('nothing is lost on the way', () => {
  it('a component called "example", merged YAML, a path item that refers and says more, a property called __proto__', async () => {
    const yaml = `
openapi: 3.1.0
info: { title: T, version: "1" }
x-common: &common { operationId: merged, responses: { "200": { description: ok } } }
x-not-a-path: { get: {} }
components:
  schemas:
    example: { type: object, properties: { __proto__: { type: string }, a: { type: string } }, required: [a] }
  pathItems:
    shared: { get: { operationId: shared, responses: {} } }
paths:
  x-hidden: { get: {} }
  /a: { get: { <<: *common } }
  /b: { $ref: "#/components/pathItems/shared", post: { operationId: beside, requestBody: { content: { application/json: { schema: { $ref: "#/components/schemas/example" } } } }, responses: {} } }
  /c: { $ref: "#/paths/~1d" }
  /d: { $ref: "#/paths/~1c" }
  /e?x=1: { get: { responses: {} } }
  no-slash: { get: { responses: {} } }
  /f: { get: { parameters: [{ name: "X Y", in: header, schema: { type: string } }], responses: {} } }
  /g/{id}: { get: { parameters: [{ name: id, in: path, required: true, style: matrix, schema: { type: string } }], responses: {} } }
  /h: { get: { operationId: h, servers: [{ url: "https://other.example" }], parameters: [{ name: q, in: query, schema: { type: number, default: .nan } }], responses: {} } }
`;
    const { code, stdout, stderr } = await importing(write(yaml, 'api.yaml'));
    expect(code).toBe(0);
    const tools = load(stdout);
    expect(Object.keys(tools)).toEqual(['beside', 'h', 'merged', 'shared']);
    expect(tools.beside?.request.json).toEqual({ a: '{a}' });
    expect(stdout).toContain('# REVIEW: the property "__proto__" is left out');
    expect(stdout).toContain('# REVIEW: the document names another server');
    expect(stderr.trim().split('\n')).toEqual([
      'left out: /c: it refers to nothing',
      'left out: /d: it refers to nothing',
      expect.stringMatching(
        /^left out: GET \/e\?x=1: the connector would not take it: .*put the query string under "query"$/,
      ),
      expect.stringMatching(/^left out: GET \/f: the connector would not take it: .*X Y: Invalid key in record$/),
      'left out: GET /g/{id}: the parameter "id" is written in the style "matrix"',
      expect.stringMatching(/^left out: GET no-slash: the connector would not take it/),
      '10 operations: 4 tools, 6 left out',
    ]);
  });

  it.each([
    ['/logout', 'userLogout'],
    ['/users/delete', 'UsersController_delete'],
    ['/x/restart', undefined],
    ['/y/do-delete', undefined],
    ['/r/7', 'getPurge'],
  ])('GET %s (%s) is no read', async (path, operationId) => {
    expect((await tool({ operationId }, { method: 'get', path })).effect).toBe('write');
  });
});

describe('what cannot be read says why', () => {
  it.each([
    ['nothing', undefined, 'cannot be read'],
    ['Swagger 2', { swagger: '2.0', info: {}, paths: {} }, 'convert it to OpenAPI 3'],
    ['something else', { a: 1 }, 'openapi: 3'],
    ['a text, which is no path to another file', JSON.stringify('secret.yaml'), 'is not an OpenAPI document'],
    ['OpenAPI 3.2, whose new methods would be lost', { openapi: '3.2.0', paths: {} }, 'these are read'],
    ['a circle', 'a: &a { b: *a }', 'in a circle'],
    ['a reference nobody can read', document({ '/x': { $ref: '%' } }), 'not below the folder'],
    ['broken JSON', '{ "openapi": ', 'neither JSON nor YAML'],
    ['broken YAML', 'a: [b', 'neither JSON nor YAML'],
    ['no paths', { openapi: '3.1.0', info: { title: 'x', version: '1' }, webhooks: {} }, 'has no "paths"'],
    [
      'entities that grow',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
        .split('')
        .map((n, i) => `${n}: &${n} [${Array(9).fill(`*${'abcdefgh'[i]}`).join()}]`)
        .join('\n')}`,
      'neither JSON nor YAML',
    ],
  ])('%s', async (_name, content, message) => {
    const file = content === undefined ? join(dir, 'none.json') : write(content);
    const { code, stderr } = await importing(file);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });

  it('a document of several files is read below its folder, and nowhere else', async () => {
    mkdirSync(join(dir, 'api/parts'), { recursive: true });
    writeFileSync(join(dir, 'secret.yaml'), 'type: string\ndescription: secret\n');
    writeFileSync(join(dir, 'api/parts/pet.yaml'), 'type: object\nproperties: { name: { type: string } }\n');
    const referring = (ref: string) =>
      write(document({ '/x': { post: { ...ok, operationId: 'x', ...json({ $ref: ref }) } } }), 'api/api.json');
    expect(load((await importing(referring('parts/pet.yaml'))).stdout).x?.request.json).toEqual({ name: '{name}' });
    writeFileSync(join(dir, 'api/secret.yaml'), 'type: string\n');
    for (const $id of [`file://${dir}/`, `${dir}/x.yaml`, '../x.yaml']) {
      const renamed = document({ '/x': { post: { ...ok, ...json({ $id, allOf: [{ $ref: 'secret.yaml' }] }) } } });
      expect((await importing(write(renamed, 'api/renamed.json'))).stderr).toContain('has an "$id"');
    }
    for (const ref of [
      '../secret.yaml',
      join(dir, 'secret.yaml'),
      `file://${dir}/secret.yaml`,
      'http://127.0.0.1:9/x.yaml',
    ]) {
      const { code, stdout, stderr } = await importing(referring(ref));
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain('not below the folder');
    }
  });

  it('from a URL: one document, no redirect, no other', async () => {
    const server = await legacyServer((request, response) => {
      if (request.url === '/moved') return response.writeHead(302, { location: '/api.json' }).end();
      const ref = request.url === '/refers' ? { $ref: `${server.url}/other.json` } : { type: 'string' };
      return response
        .writeHead(request.url === '/none' ? 404 : 200)
        .end(JSON.stringify(document({ '/x': { post: { ...ok, operationId: 'x', ...json(ref) } } })));
    });
    try {
      expect(Object.keys(load((await importing(`${server.url}/api.json`)).stdout))).toEqual(['x']);
      for (const [path, message] of [
        ['/moved', 'cannot be read'],
        ['/none', 'status 404'],
        ['/refers', 'one document first'],
      ] as const) {
        const { code, stderr } = await importing(`${server.url}${path}`);
        expect(code).toBe(1);
        expect(stderr).toContain(message);
      }
      expect(server.requests).toEqual(['GET /api.json', 'GET /moved', 'GET /none', 'GET /refers']);
    } finally {
      await server.close();
    }
  });
});
