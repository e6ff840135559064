// Imports a document by the command line, as a user does.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { run } from './cli.ts';
import type { Loose } from './harness.ts';

export let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-openapi-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

export const HEAD = `version: 1
identity: { keys: { file: clients.json } }
backends:
  app:
    url: https://app.example
    login: [{ request: { path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
`;
/** Loads the imported tools as the connector does. */
export const load = (tools: string) => {
  const parsed = parseConfig({ text: HEAD + tools, file: 'connector.yaml', baseDir: dir, env: {} });
  if (!parsed.ok) throw new Error(parsed.problems.map((p) => `${p.path}: ${p.message}`).join('\n'));
  return parsed.config.tools;
};
export const write = (document: unknown, name = 'api.json') => {
  const file = join(dir, name);
  writeFileSync(file, typeof document === 'string' ? document : JSON.stringify(document));
  return file;
};
export const importing = (source: string, ...more: string[]) =>
  run(['import', 'openapi', source, '--backend', 'app', ...more], { cwd: dir });
export const document = (paths: object, more: object = {}) => ({
  openapi: '3.0.3',
  info: { title: 'T', version: '1' },
  paths,
  ...more,
});
export const ok = { responses: { 200: { description: 'ok', content: { 'application/json': {} } } } };
export const json = (schema: object, required = true) => ({
  requestBody: { required, content: { 'application/json': { schema } } },
});
/** Imports a document with this one operation and returns the resulting tool. */
export async function tool(operation: object, { method = 'post', path = '/x', more = {} } = {}): Promise<Loose> {
  const { code, stdout, stderr } = await importing(
    write(document({ [path]: { [method]: { ...ok, ...operation } } }, more)),
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return Object.values(load(stdout))[0];
}
