// DokuWiki, as Debian packages it: two cookies, of which one is set anew with every answer while the old ones go on working,
// a token for each write, and a logout that ends nothing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { run } from '../support/cli.ts';
import { type Fronted, front, structured, textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { type System, startSystem } from './systems.ts';

const PASSWORD = 'anchor%chain&"9"';
const YAML = readFileSync(join(PACKAGE_ROOT, 'examples/dokuwiki/connector.yaml'), 'utf8');

describe.skipIf(!inject('dokuwiki'))('DokuWiki (needs dokuwiki and php-cli)', () => {
  let wiki: System;
  let connector: Fronted;
  const env = () => ({ DOKUWIKI_URL: wiki.url, DOKUWIKI_USER: 'anna', DOKUWIKI_PASSWORD: PASSWORD });
  const start = async () => {
    connector = await front({ yaml: YAML.replace(/^state_dir.*\n|^identity.*\n/gm, ''), env: env() });
  };
  const logins = () => wiki.requests.filter((each) => each === 'POST /doku.php').length;

  beforeAll(async () => {
    // With -1 the wiki checks the password in the cookie with every request, and sets a new cookie with every answer.
    wiki = await startSystem(
      'dokuwiki',
      { DW_USERS: `anna:${PASSWORD}`, DW_TRUST_SECONDS: '-1' },
      '/doku.php?id=start',
    );
  });
  afterEach(() => connector?.close());
  afterAll(() => wiki?.close());

  it('reads pages, source text and XML, and writes with the token of the session', async () => {
    await start();
    expect(textOf(await connector.call('whoami'))).toContain('anna');
    const text = 'Ein Käfer & <b>zwei</b> "Wörter" €';
    expect(structured(await connector.call('page_write', { id: 'zoo:beetle', text }))).toMatchObject({
      location: expect.stringContaining('id=zoo:beetle'),
    });
    expect(textOf(await connector.call('page_read', { id: 'zoo:beetle' }))).toBe(text);
    expect(structured(await connector.call('page_list', { namespace: 'zoo' }))).toMatchObject({ ids: ['zoo:beetle'] });
    expect(reasons(await connector.call('page_list'))).toEqual([]);
    expect(reasons(await connector.call('page_read', { id: 'zoo:none' }))).toEqual(['backend.rejected']);
  });

  it('R-81: a cookie that each answer replaces stays one session, also with calls in parallel', async () => {
    await start();
    await connector.call('whoami');
    const [before, seen] = [logins(), wiki.cookies.length];
    for (let i = 0; i < 4; i++) {
      const all = await Promise.all([1, 2, 3].map(() => connector.call('whoami')));
      expect(all.map(textOf).every((text) => text.includes('anna'))).toBe(true);
    }
    expect(logins()).toBe(before);
    expect(wiki.cookies.length - seen).toBeGreaterThan(3);
    expect((await connector.events()).filter((event) => event === 'session_renewed').length).toBeGreaterThan(3);
  });

  it('R-25, R-95: a logout that ends nothing is on record as residual, and costs the wiki little', async () => {
    await start();
    for (let i = 0; i < 3; i++) await connector.call('whoami');
    const used = wiki.requests.length;
    await connector.connector.close();
    const ended = (await connector.audit('event')).filter(({ event }) => event === 'session_ended');
    expect(ended.some(({ proof, residual }) => proof === 'residual' && residual)).toBe(true);
    expect(wiki.requests.length - used).toBeLessThan(8 * ended.length);
  });

  it('backend check says what is the nature of the wiki', async () => {
    const { code, stdout } = await run(
      ['backend', 'check', 'dokuwiki', '-c', 'examples/dokuwiki/connector.yaml', '--json'],
      { env: { ...env(), SALLYPORT_STATE_DIR: '/nonexistent' } },
    );
    const { results } = JSON.parse(stdout) as { results: { result: string; step: string }[] };
    expect(results.filter(({ result }) => result === 'fail')).toEqual([]);
    expect(new Set(results.filter(({ result }) => result === 'warn').map(({ step }) => step))).toEqual(
      new Set(['rotation', 'logout']),
    );
    expect(code).toBe(0);
    expect(stdout).not.toContain(PASSWORD);
  });
});
