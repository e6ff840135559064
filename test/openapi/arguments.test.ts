// Arguments of imported tools: where they come from, and their schemas.
import { describe, expect, it } from 'vitest';
import { importing, json, load, tool, write } from '../support/importing.ts';

describe('arguments', () => {
  it('come from path, query, header and body; equal names are told apart; headers that the connector sets are left out', async () => {
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

  it('a body that is not an object is one argument; a form and another media type keep their kind', async () => {
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
  ])('GET %s (%s) is not imported as a read', async (path, operationId) => {
    expect((await tool({ operationId }, { method: 'get', path })).effect).toBe('write');
  });
});
