// MediaWiki, as Debian packages it, behind a connector that knows it from examples/mediawiki/connector.yaml.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { run } from '../support/cli.ts';
import { type Fronted, front, structured, textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';
import { rotateAfter, type System, seconds, startSystem } from './systems.ts';

const ALICE = 'battery-staple-88';
const BOB = 'correct%horse&"77';
const LIFE = 12;
const YAML = readFileSync(join(PACKAGE_ROOT, 'examples/mediawiki/connector.yaml'), 'utf8');

describe.skipIf(!inject('mediawiki'))('MediaWiki (needs mediawiki and php)', () => {
  let wiki: System;
  let connector: Fronted;
  let folder: PolicyFolder | undefined;
  const env = () => ({
    MEDIAWIKI_URL: wiki.url,
    MW_ALICE: 'Alice',
    MW_ALICE_PASSWORD: ALICE,
    MW_BOB: 'Bob',
    MW_BOB_PASSWORD: BOB,
  });
  const start = async (policy?: PolicyFolder, edit = (yaml: string) => yaml) => {
    folder = policy;
    const yaml = policy ? YAML.replace('policy: {', `policy: { dir: ${policy.dir},`) : YAML;
    const text = edit(yaml.replace(/^state_dir.*\n|^identity.*\n/gm, ''));
    connector = await front({ yaml: text, env: env(), clients: ['alice', 'bob', 'carol'] });
  };
  /** Asks the wiki itself which account a cookie is logged in as; the answer is an IP address for no account. */
  const nameOf = async (cookie: string): Promise<string> => {
    const url = `${wiki.direct}/api.php?action=query&meta=userinfo&format=json`;
    const answer = (await (await fetch(url, { headers: { cookie } })).json()) as {
      query: { userinfo: { name: string } };
    };
    return answer.query.userinfo.name;
  };
  const sessionCookies = () => wiki.cookies.filter((cookie) => cookie.includes('wikiUserID='));

  beforeAll(async () => {
    const system = {
      MW_PASSWORD: 'correct-horse-77',
      MW_USERS: `Alice:${ALICE} Bob:${BOB}`,
      MW_SESSION_SECONDS: String(LIFE),
    };
    wiki = await startSystem('mediawiki', system, '/api.php?action=query&meta=siteinfo&format=json');
  });
  afterEach(async () => {
    await connector?.close();
    folder?.remove();
  });
  afterAll(() => wiki?.close());

  it('each user acts with their own account, and a user without an account is refused', async () => {
    await start();
    expect(structured(await connector.call('whoami', {}, 'alice'))).toMatchObject({ name: 'Alice' });
    expect(structured(await connector.call('whoami', {}, 'bob'))).toMatchObject({ name: 'Bob' });
    const refused = await connector.call('whoami', {}, 'carol');
    expect(reasons(refused)).toEqual(['backend.no_account']);
    expect((await connector.audit('outcome')).at(-1)).toMatchObject({
      outcome: 'refused',
      reasons: ['backend.no_account'],
    });
  });

  it('writes with a CSRF token, reads text, pages through a list, and gives bytes', async () => {
    await start();
    await connector.call('whoami', {}, 'alice');
    const before = wiki.requests.length;
    const nasty = '{{"}} & <b> \u{1F600} =x= ?a=1#b %2e';
    for (let i = 1; i <= 5; i++) {
      const edited = await connector.call(
        'page_edit',
        { title: `Zoo/Animal ${i}`, text: `${nasty} number ${i}` },
        'alice',
      );
      expect(structured(edited)).toMatchObject({ title: `Zoo/Animal ${i}`, result: 'Success' });
    }
    expect(textOf(await connector.call('page_read', { title: 'Zoo/Animal 3' }, 'bob'))).toContain('number 3');
    const list = structured(await connector.call('page_list', { prefix: 'Zoo/' }, 'alice'));
    expect(list).toEqual({ titles: [1, 2, 3, 4, 5].map((i) => `Zoo/Animal ${i}`), complete: true });
    const [logo] = (await connector.call('logo', {}, 'alice')).body.result.content;
    expect(Buffer.from(logo.resource.blob, 'base64').subarray(1, 4).toString()).toBe('PNG');
    // MediaWiki reports errors with status 200, and the connector must not return them as data.
    expect(reasons(await connector.call('page_edit', { title: '[[no title]]', text: 'x' }, 'alice'))).toEqual([
      'backend.rejected',
    ]);
    // One CSRF token serves all writes of a session.
    expect(wiki.requests.slice(before).filter((line) => line.includes('type=csrf'))).toHaveLength(1);
  });

  it('R-53: a read that silently turned anonymous, and a write that was refused first, are repeated after a new login', async () => {
    await start();
    await connector.call('page_edit', { title: 'Once', text: 'first' }, 'alice');
    await seconds(LIFE + 2);
    expect(textOf(await connector.call('page_read', { title: 'Once' }, 'alice'))).toContain('first');
    await seconds(LIFE + 2);
    const second = structured(await connector.call('page_edit', { title: 'Once', text: 'second' }, 'alice'));
    expect(second).toMatchObject({ result: 'Success' });
    expect((await connector.audit('outcome')).map((record) => record.backend.attempts)).toEqual([1, 2, 2]);
    const url = `${wiki.direct}/api.php?action=query&prop=revisions&rvlimit=10&titles=Once&format=json&formatversion=2`;
    const history = (await (await fetch(url)).json()) as { query: { pages: { revisions: unknown[] }[] } };
    expect(history.query.pages[0]?.revisions).toHaveLength(2);
  });

  it('keep-alive requests keep a session alive that the wiki would have ended', async () => {
    await start(undefined, (yaml) =>
      yaml.replace(
        '    logout:',
        '    keep_alive: { request: { path: /api.php, query: { action: query, meta: userinfo, assert: user, format: json } }, every_seconds: 5 }\n    logout:',
      ),
    );
    await connector.call('whoami', {}, 'alice');
    const logins = () => wiki.requests.filter((line) => line.includes('type=login')).length;
    const before = logins();
    await seconds(2 * LIFE + 2);
    expect(structured(await connector.call('whoami', {}, 'alice'))).toMatchObject({ name: 'Alice' });
    expect(logins()).toBe(before);
    expect((await connector.audit('outcome')).at(-1)).toMatchObject({ backend: { attempts: 1 } });
  });

  it('R-25: a rotation ends the old session on the wiki and leaves the session of another user alone', async () => {
    await start(policyFolder(rotateAfter(2)));
    await connector.call('whoami', {}, 'bob');
    const bob = sessionCookies().at(-1) as string;
    for (let i = 0; i < 2; i++) await connector.call('whoami', {}, 'alice');
    const old = sessionCookies().at(-1) as string;
    expect(await nameOf(old)).toBe('Alice');
    expect(structured(await connector.call('whoami', {}, 'alice'))).toMatchObject({ name: 'Alice' });
    const ended = (await connector.audit('event')).find((record) => record.event === 'session_ended');
    expect(ended).toMatchObject({ proof: 'dead', residual: false });
    expect(await nameOf(old)).toBe('127.0.0.1');
    expect(await nameOf(bob)).toBe('Bob');
    expect(old).not.toMatch(/wikiToken/);
  });

  it('backend check passes every step', async () => {
    const args = ['backend', 'check', 'wiki', '--account', 'bob', '-c', 'examples/mediawiki/connector.yaml', '--json'];
    const { code, stdout } = await run(args, { env: { ...env(), SALLYPORT_STATE_DIR: '/nonexistent' } });
    expect(code).toBe(0);
    expect(JSON.parse(stdout).results.map((r: { result: string }) => r.result)).toEqual(Array(9).fill('ok'));
    expect(stdout).not.toContain(BOB);
  });
});
