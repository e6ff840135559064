// what a system is spared holds for the system, over two connectors on one Redis, and not for each of them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { run } from '../support/cli.ts';
import { type Fronted, front, type LegacyServer, legacyServer, textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const program = inject('redis');

describe.skipIf(program === null)('R-55: limits of a backend over two replicas', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-quotas-'));
  let redis: TestRedis;
  let server: LegacyServer;
  const connectors: Fronted[] = [];
  let [busy, peak] = [0, 0];
  const logins = () => server.requests.filter((each) => each === 'POST /login').length;

  beforeAll(async () => {
    redis = await startRedis(program as string);
    await run(['keys', 'init', '--file', join(dir, 'keyring.json')]);
    server = await legacyServer(async (request, response) => {
      if (request.url === '/login')
        return response.writeHead(200, { 'set-cookie': `S=session-${logins()}; Path=/` }).end();
      busy += 1;
      peak = Math.max(peak, busy);
      await new Promise((resolve) => setTimeout(resolve, 30));
      busy -= 1;
      return response.end('fine');
    });
  });
  afterEach(async () => {
    for (const connector of connectors.splice(0)) await connector.close();
    [busy, peak] = [0, 0];
  });
  afterAll(async () => {
    await server?.close();
    await redis?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  let prefix = 0;
  async function two(limits: string, clients: string[]): Promise<[Fronted, Fronted]> {
    prefix += 1;
    const yaml = `
keyring_file: ${join(dir, 'keyring.json')}
store: { redis: { url: "${redis.url}", prefix: q${prefix} } }
backends:
  app:
    url: ${server.url}
    login: [{ request: { method: POST, path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
    limits: ${limits}
tools:
  page: { backend: app, description: Page, effect: read, request: { path: /page }, result: { as: text } }`;
    for (let i = 0; i < 2; i++) connectors.push(await front({ yaml, clients }));
    return connectors as unknown as [Fronted, Fronted];
  }
  const clients = Array.from({ length: 12 }, (_, i) => `client-${i}`);

  it('calls at a time', async () => {
    const both = await two('{ calls: 2 }', clients);
    const answers = await Promise.all(clients.flatMap((id) => both.map((each) => each.call('page', {}, id))));
    expect(answers.map(textOf)).toEqual(answers.map(() => 'fine'));
    expect(peak).toBe(2);
  });

  it('logins a minute: the others are refused with the time to wait, and nothing was sent', async () => {
    const before = logins();
    const both = await two('{ logins_per_minute: 4 }', clients);
    const answers = await Promise.all(clients.map((id, i) => both[(i % 2) as 0 | 1].call('page', {}, id)));
    expect(logins() - before).toBe(4);
    const refused = answers.filter((answer) => reasons(answer).length > 0);
    expect(refused).toHaveLength(8);
    for (const { body } of refused) {
      expect(body.result._meta['sallyport/outcome']).toBe('not_sent');
      expect(body.result._meta['sallyport/retry-after-seconds']).toBeGreaterThan(30);
    }
  });
});
