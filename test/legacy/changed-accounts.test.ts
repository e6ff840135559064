// An account that changes while its sessions live.
import { expect, it } from 'vitest';
import { bodyOf, textOf } from '../support/fronted.ts';
import { until } from '../support/harness.ts';
import { call, connectWith, EXPIRED, ok, serveAll, yamlOf } from '../support/one-app.ts';

it('an account whose password changes gets a new session, although its key stays the same', async () => {
  const { mkdtempSync, rmSync, writeFileSync } = await import('node:fs');
  const { tmpdir } = await import('node:os');
  const dir = mkdtempSync(`${tmpdir()}/sallyport-accounts-`);
  const file = (user: string) =>
    writeFileSync(`${dir}/a.json`, JSON.stringify({ agent: { name: user } }), { mode: 0o600 });
  file('anna');
  const users = new Map<string, string>();
  await serveAll(async (request, response) => {
    if (request.url === '/login') {
      users.set(`S=${users.size}`, new URLSearchParams(await bodyOf(request)).get('n') ?? '');
      return response.writeHead(200, { 'set-cookie': `S=${users.size - 1}; Path=/` }).end();
    }
    return ok(response, users.get(request.headers.cookie ?? '') ?? 'nobody');
  });
  const yaml = yamlOf(EXPIRED, '')
    .replace('path: /login }', 'path: /login, form: { n: "{credentials.name}" } }')
    .replace('    login:', `    accounts: { by: client, file: ${dir}/a.json }\n    login:`);
  await connectWith(yaml);
  expect(textOf(await call('page'))).toBe('anna');
  file('bernd');
  await until(async () => textOf(await call('page')) === 'bernd', 'the new account to be used');
  rmSync(dir, { recursive: true, force: true });
});
