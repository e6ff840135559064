// Deluge's web interface, as Debian packages it: JSON-RPC, status 200 for everything, and a cookie that each answer sets
// again with a later end.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { run } from '../support/cli.ts';
import { type Fronted, front, structured, textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';
import { rotateAfter, type System, seconds, startSystem } from './systems.ts';

const PASSWORD = 'quiet-harbour "77"';
const LIFE = 12;
const YAML = readFileSync(join(PACKAGE_ROOT, 'examples/deluge/connector.yaml'), 'utf8');

describe.skipIf(!inject('deluge'))('Deluge (needs deluge-web)', () => {
  let deluge: System;
  let connector: Fronted;
  let folder: PolicyFolder | undefined;
  const env = () => ({ DELUGE_URL: deluge.url, DELUGE_PASSWORD: PASSWORD });
  const start = async (policy?: PolicyFolder) => {
    folder = policy;
    const yaml = policy ? YAML.replace('policy: {', `policy: { dir: ${policy.dir},`) : YAML;
    connector = await front({ yaml: yaml.replace(/^state_dir.*\n|^identity.*\n/gm, ''), env: env() });
  };
  /** Asks Deluge itself whether a cookie still works. */
  const lives = async (cookie: string): Promise<boolean> => {
    const answer = await fetch(`${deluge.direct}/json`, {
      method: 'POST',
      headers: { cookie, 'content-type': 'application/json' },
      body: JSON.stringify({ id: 1, method: 'web.get_hosts', params: [] }),
    });
    return ((await answer.json()) as { error: unknown }).error === null;
  };
  const logins = () => deluge.cookies.length;

  beforeAll(async () => {
    deluge = await startSystem('deluge', { DELUGE_PASSWORD: PASSWORD, SESSION_SECONDS: String(LIFE) }, '/');
  });
  afterEach(async () => {
    await connector?.close();
    folder?.remove();
  });
  afterAll(() => deluge?.close());

  it('reads and writes; a refusal is no data, and a write that was refused says so', async () => {
    await start();
    expect(structured(await connector.call('settings_show'))).toMatchObject({ session_seconds: LIFE });
    const host = { host: '127.0.0.1', port: 58847, user: 'anna' };
    const answer = await connector.call('daemon_add', host);
    expect(reasons(answer)).toEqual([]);
    const added = JSON.parse(textOf(answer)) as { id: string };
    expect(structured(await connector.call('daemon_list'))).toMatchObject({
      daemons: expect.arrayContaining([{ id: added.id, ...host }]),
    });
    const again = await connector.call('daemon_add', host);
    expect(reasons(again)).toEqual(['backend.rejected']);
    expect(again.body.result._meta['sallyport/outcome']).toBe('rejected');
    expect(textOf(again)).toMatch(/The backend says: "[^"]*already[^"]*"/);
  });

  it('R-54: each answer moves the end of the session, so that one login serves for as long as it is used', async () => {
    await start();
    const before = logins();
    for (let i = 0; i < 8; i++) {
      const all = await Promise.all([1, 2, 3].map(() => connector.call('settings_show')));
      expect(all.every((answer) => reasons(answer).length === 0)).toBe(true);
      await seconds(LIFE / 4);
    }
    expect(logins() - before).toBe(1);
    expect((await connector.events()).filter((event) => event === 'session_renewed').length).toBeGreaterThan(0);
    // When its own end has passed, the cookie is not sent any more.
    await seconds(LIFE + 2);
    expect(reasons(await connector.call('settings_show'))).toEqual([]);
    expect(logins() - before).toBe(2);
  });

  it('R-20, R-25: an old session is dead at Deluge after a rotation, and is recorded as dead', async () => {
    await start(policyFolder(rotateAfter(2)));
    const before = logins();
    for (let i = 0; i < 5; i++) expect(reasons(await connector.call('daemon_list'))).toEqual([]);
    const mine = deluge.cookies.slice(before);
    expect(mine.length).toBeGreaterThan(1);
    expect(await lives(mine[0] ?? '')).toBe(false);
    expect(await lives(mine.at(-1) ?? '')).toBe(true);
    const ended = (await connector.audit('event')).filter(({ event }) => event === 'session_ended');
    expect(ended.length).toBeGreaterThan(0);
    expect(ended.every(({ proof }) => proof === 'dead')).toBe(true);
  });

  it('backend check is content, and shows no secret', async () => {
    const { code, stdout } = await run(
      ['backend', 'check', 'deluge', '-c', 'examples/deluge/connector.yaml', '--json'],
      {
        env: { ...env(), SALLYPORT_STATE_DIR: '/nonexistent' },
      },
    );
    const { results } = JSON.parse(stdout) as { results: { result: string; detail: string }[] };
    expect(results.filter(({ result }) => result !== 'ok')).toEqual([]);
    expect(code).toBe(0);
    expect(stdout).not.toContain(PASSWORD);
  });
});
