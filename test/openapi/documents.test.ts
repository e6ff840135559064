// Documents that cannot be read, and documents of several files or from a URL.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { legacyServer } from '../support/fronted.ts';
import { dir, document, importing, json, load, ok, write } from '../support/importing.ts';

describe('the error says why a document cannot be read', () => {
  it.each([
    ['a missing file', undefined, 'cannot be read'],
    ['Swagger 2', { swagger: '2.0', info: {}, paths: {} }, 'convert it to OpenAPI 3'],
    ['a document that is not OpenAPI', { a: 1 }, 'openapi: 3'],
    ['a text, which is no path to another file', JSON.stringify('secret.yaml'), 'is not an OpenAPI document'],
    ['OpenAPI 3.2, whose new methods would be lost', { openapi: '3.2.0', paths: {} }, 'these are read'],
    ['YAML that contains itself', 'a: &a { b: *a }', 'in a circle'],
    ['an unreadable reference', document({ '/x': { $ref: '%' } }), 'not below the folder'],
    ['broken JSON', '{ "openapi": ', 'neither JSON nor YAML'],
    ['broken YAML', 'a: [b', 'neither JSON nor YAML'],
    ['no paths', { openapi: '3.1.0', info: { title: 'x', version: '1' }, webhooks: {} }, 'has no "paths"'],
    [
      'YAML aliases that multiply',
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

  it('from a URL one document is read; no redirect and no reference to another document is followed', async () => {
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
