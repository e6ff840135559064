// Importing tools from OpenAPI documents: every operation becomes a tool or is named as left out, the output is
// always the same text, and the resulting configuration passes the check.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { dir, document, importing, load, ok, tool, write } from '../support/importing.ts';

describe.skipIf(inject('github') === null)("GitHub's REST API (needs tools/openapi)", () => {
  const file = inject('github') ?? '';

  it('every operation is a tool or is named, two imports are the same, and the connector accepts all tools', async () => {
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

it('an operation that cannot be a tool is left out, with its name and the reason', async () => {
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

it('tool names come from operationId, are unique, and do not depend on other operations', async () => {
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

it('text of a document cannot change the structure of the generated file', async () => {
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
