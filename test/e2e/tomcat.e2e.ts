// Apache Tomcat, as Debian packages it, behind a connector that knows it from examples/tomcat/connector.yaml.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { run } from '../support/cli.ts';
import { type Fronted, front, structured, textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';
import { rotateAfter, type System, seconds, startSystem } from './systems.ts';

const USER = 'anna';
const PASSWORD = 'pa&s"s<1 ü';
const PAGE = '/examples/jsp/security/protected/index.jsp';
const YAML = readFileSync(join(PACKAGE_ROOT, 'examples/tomcat/connector.yaml'), 'utf8');

describe.skipIf(!inject('tomcat'))('Apache Tomcat (needs tomcat10 and tomcat10-examples)', () => {
  let tomcat: System;
  let connector: Fronted;
  let folder: PolicyFolder | undefined;
  const env = () => ({ TOMCAT_URL: tomcat.url, TOMCAT_USER: USER, TOMCAT_PASSWORD: PASSWORD });
  const start = async (policy?: PolicyFolder) => {
    folder = policy;
    const yaml = policy ? YAML.replace('policy: {', `policy: { dir: ${policy.dir},`) : YAML;
    connector = await front({ yaml: yaml.replace(/^state_dir.*\n|^identity.*\n/gm, ''), env: env() });
  };
  /** Asks Tomcat itself whether a cookie is logged in as the user. */
  const ofCookie = async (cookie: string) =>
    (await (await fetch(tomcat.direct + PAGE, { headers: { cookie } })).text()).includes(`<b>${USER}</b>`);
  const ops = async (path: string) => {
    const authorization = `Basic ${Buffer.from('ops:operator').toString('base64')}`;
    return (await fetch(`${tomcat.direct}/ops${path}`, { headers: { authorization } })).text();
  };

  beforeAll(async () => {
    const system = { TOMCAT_USER: USER, TOMCAT_PASSWORD: PASSWORD, OPS_PASSWORD: 'operator' };
    tomcat = await startSystem('tomcat', system, '/examples/index.html');
  });
  afterEach(async () => {
    await connector?.close();
    folder?.remove();
  });
  afterAll(() => tomcat?.close());

  it('logs in by FORM login, reads, writes with a nonce, and gives bytes; no result or log shows the session', async () => {
    await start();
    expect(textOf(await connector.call('whoami'))).toContain(USER);
    expect(textOf(await connector.call('has_role', { role: 'role1' }))).toContain('have been granted role role1');
    const nasty = '<b>&"\u00e4\r\nX: y';
    expect(
      (await connector.call('attribute_set', { name: 'colour', value: nasty })).body.result.isError,
    ).toBeUndefined();
    const shown = textOf(await connector.call('attributes_show'));
    expect(shown).toContain('colour = <b>&"\u00e4');
    const headers = structured(await connector.call('headers_show')).headers;
    expect(headers).toContainEqual({ cookie: 'JSESSIONID=[redacted]' });
    const [picture] = (await connector.call('picture')).body.result.content;
    expect(picture).toMatchObject({ type: 'resource', resource: { mimeType: 'image/gif' } });
    expect(Buffer.from(picture.resource.blob, 'base64').subarray(0, 6).toString()).toMatch(/^GIF8/);

    const id = /JSESSIONID=(\w+)/.exec(tomcat.cookies.at(-1) ?? '')?.[1] as string;
    expect(await ofCookie(`JSESSIONID=${id}`)).toBe(true);
    expect(shown).not.toContain(id);
    expect(JSON.stringify(await connector.audit())).not.toContain(id);
  });

  it('R-25: a rotation ends the old session on Tomcat and keeps the new one alive', async () => {
    await start(policyFolder(rotateAfter(2)));
    for (let i = 0; i < 2; i++) await connector.call('whoami');
    const old = tomcat.cookies.at(-1) as string;
    expect(await ofCookie(old)).toBe(true);
    expect(textOf(await connector.call('whoami'))).toContain(USER);
    expect(await connector.events()).toEqual(['session_opened', 'session_rotated', 'session_ended']);
    expect((await connector.audit('event')).find((e) => e.event === 'session_ended')).toMatchObject({ proof: 'dead' });
    expect(await ofCookie(old)).toBe(false);
    // Answers to the logout and its probe bring the sessions of anonymous visitors, which are looked at as well.
    const others = [...new Set(tomcat.cookies)].filter((cookie) => cookie !== old);
    expect((await Promise.all(others.map(ofCookie))).filter(Boolean)).toHaveLength(1);
  });

  it('R-53: a session that ends in the middle is opened again for a read, and for a write that was not sent', async () => {
    await start();
    await connector.call('whoami');
    expect(await ops('/expire?path=/examples&idle=0')).toContain('OK');
    expect(textOf(await connector.call('whoami'))).toContain(USER);
    // A servlet outside the login silently opens an anonymous session, which is not a session of the connector.
    await ops('/expire?path=/examples&idle=0');
    expect((await connector.call('attributes_show')).body.result.isError).toBeUndefined();
    await ops('/expire?path=/examples&idle=0');
    const writes = () =>
      tomcat.requests.filter((line) => line.startsWith('POST') && line.includes('SessionExample')).length;
    const before = writes();
    expect((await connector.call('attribute_set', { name: 'a', value: '1' })).body.result.isError).toBeUndefined();
    expect(writes() - before).toBe(1);
    expect(textOf(await connector.call('attributes_show'))).toContain('a = 1');
    expect((await connector.audit('outcome')).map((r) => r.backend.attempts)).toEqual([1, 2, 2, 2, 1]);
  });

  it('R-53: a session that has timed out by itself is opened again', async () => {
    await start();
    await connector.call('whoami');
    const old = tomcat.cookies.at(-1) as string;
    await seconds(66);
    expect(textOf(await connector.call('whoami'))).toContain(USER);
    expect((await connector.audit('outcome')).at(-1)).toMatchObject({ outcome: 'success', backend: { attempts: 2 } });
    expect(await ofCookie(old)).toBe(false);
  });

  it('a wrong password refuses the call, says so in the log, and is not tried again at once', async () => {
    connector = await front({
      yaml: YAML.replace(/^state_dir.*\n|^identity.*\n/gm, ''),
      env: { ...env(), TOMCAT_PASSWORD: 'wrong-password' },
    });
    const before = tomcat.requests.length;
    for (let i = 0; i < 3; i++) expect(reasons(await connector.call('whoami'))).toEqual(['session.login_failed']);
    expect(tomcat.requests.slice(before).filter((line) => line.startsWith('POST'))).toHaveLength(1);
    expect(JSON.stringify(await connector.audit())).not.toContain('wrong-password');
  });

  it('backend check passes every step', async () => {
    const { code, stdout, stderr } = await run(
      ['backend', 'check', 'tomcat', '-c', 'examples/tomcat/connector.yaml', '--json'],
      {
        env: { ...env(), SALLYPORT_STATE_DIR: '/nonexistent' },
      },
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(stdout).results.map((r: { result: string }) => r.result)).toEqual(Array(10).fill('ok'));
    expect(stdout).not.toContain(PASSWORD);
  });
});
