// The admin listener over TLS, with a certificate of the client where one is asked for.
import { copyFileSync } from 'node:fs';
import { Agent, fetch } from 'undici';
import { afterAll, afterEach, describe, expect, inject, it } from 'vitest';
import { createCertificates } from '../support/certificates.ts';
import { run } from '../support/cli.ts';
import { type Harness, startHarness } from '../support/harness.ts';

const TOKEN = 'an-admin-token-of-forty-characters-or-so';

describe.skipIf(!inject('openssl'))('the admin listener over TLS', () => {
  const certificates = createCertificates();
  afterAll(() => certificates.remove());
  const server = certificates.make('server');
  const ca = certificates.make('operators');
  const operator = certificates.make('operator', ca);
  const stranger = certificates.make('stranger');
  let h: Harness | undefined;
  afterEach(() => h?.close());
  const start = async (more = '', { certFile, keyFile } = server) => {
    process.env.TEST_TLS_TOKEN = TOKEN;
    const tls = `{ cert_file: ${certFile}, key_file: ${keyFile}${more} }`;
    h = await startHarness({
      edit: (yaml) =>
        yaml.replace('state_dir:', `admin: { port: 0, token: { env: TEST_TLS_TOKEN }, tls: ${tls} }\nstate_dir:`),
    });
    return new URL('/api/v1/status', h.connector.adminUrl);
  };
  const status = async (url: URL, connect: object) => {
    const dispatcher = new Agent({ connect: { ca: server.cert, ...connect } });
    try {
      return (await fetch(url, { dispatcher, headers: { authorization: `Bearer ${TOKEN}` } })).status;
    } catch {
      return 'turned away';
    } finally {
      await dispatcher.destroy();
    }
  };

  it('asks for no certificate where no CA is named, and the commands speak to it', async () => {
    const url = await start();
    expect(url.protocol).toBe('https:');
    expect(await status(url, {})).toBe(200);
    const env = { SALLYPORT_ADMIN_TOKEN: TOKEN, NODE_EXTRA_CA_CERTS: server.certFile };
    expect(await run(['status', '--url', url.origin], { env })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^ready/),
    });
  });

  it('the commands take a private CA and a certificate, and say what is missing', async () => {
    const url = await start(`, client_ca_file: ${ca.certFile}`);
    const env = { SALLYPORT_ADMIN_TOKEN: TOKEN };
    const ask = (...more: string[]) => run(['status', '--url', url.origin, ...more], { env });
    const trust = ['--ca', server.certFile];
    const shown = ['--cert', operator.certFile, '--key', operator.keyFile];
    expect(await ask(...trust, ...shown)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ready/) });
    expect((await ask(...shown)).stderr).toMatch(/for a private CA give --ca\n$/);
    expect((await ask(...trust)).stderr).toMatch(/where it demands a certificate give --cert and --key\n$/);
    expect((await ask(...trust, '--cert', operator.certFile)).stderr).toBe('--cert and --key go together\n');
    expect((await ask('--ca', '/nowhere')).stderr).toBe('--ca: /nowhere cannot be read: ENOENT\n');
    expect((await ask('--ca', operator.keyFile)).stderr).toMatch(/^--ca: .* has no certificate of a CA/);
    expect((await ask(...trust, '--cert', operator.keyFile, '--key', operator.keyFile)).stderr).toMatch(
      /^--cert \S+ is no certificate \(PEM\)\n$/,
    );
    expect((await ask(...trust, '--cert', operator.certFile, '--key', stranger.keyFile)).stderr).toMatch(
      /^--cert \S+ and --key \S+ are not a certificate and its key\n$/,
    );
    const plainly = await run(['status', '--url', url.origin.replace('https', 'http')], { env });
    expect(plainly.stderr).toMatch(/; if it speaks TLS, use https:\/\/\n$/);
    const off = { ...env, NODE_TLS_REJECT_UNAUTHORIZED: '0' };
    expect((await run(['status', '--url', url.origin], { env: off })).stderr).toMatch(/turns TLS verification off/);
  }, 30_000);

  it('turns away whoever has no certificate of the CA that is named', async () => {
    const url = await start(`, client_ca_file: ${ca.certFile}`);
    expect(await status(url, {})).toBe('turned away');
    expect(await status(url, { cert: stranger.cert, key: stranger.key })).toBe('turned away');
    expect(await status(url, { cert: operator.cert, key: operator.key })).toBe(200);
  });

  it('does not start with a CA in which there is none', async () => {
    await expect(start(`, client_ca_file: ${server.keyFile}`)).rejects.toThrow(
      /admin.tls.client_ca_file: .* has no certificate of a CA/,
    );
  });

  it('R-94: tells the end of the certificate that it shows, not of the one on disk, until a reload takes that', async () => {
    const files = certificates.make('replaced');
    const url = await start('', files);
    const headers = { authorization: `Bearer ${TOKEN}` };
    const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
    const ask = async (path: string, more = {}) =>
      (await fetch(new URL(path, url), { dispatcher, headers, ...more })).text();
    const days = async () =>
      Number(/expires_days\{what="admin.tls.cert_file"\} (\S+)/.exec(await ask('/metrics'))?.[1]);
    expect(await ask('/api/v1/status')).toMatch(/"admin.tls.cert_file","detail":"ends on /);
    expect(h?.ops.join('\n')).toMatch(/admin.tls.cert_file ends on /);
    const renewed = certificates.make('renewed', undefined, 100);
    copyFileSync(renewed.certFile, files.certFile);
    copyFileSync(renewed.keyFile, files.keyFile);
    expect(await days()).toBeLessThan(3);
    await ask('/api/v1/reload', { method: 'POST', body: JSON.stringify({ reason: 'renewed' }) });
    expect(await days()).toBeGreaterThan(90);
    expect(await ask('/api/v1/status')).not.toMatch(/admin.tls.cert_file/);
    await dispatcher.destroy();
  });
});

it('an address that is none of a listener is refused before a token is read, and not shown', async () => {
  const at = (address: string) => run(['status', '--url', address], { env: { SALLYPORT_ADMIN_TOKEN: TOKEN } });
  const secret = await at('http://me:hunter2@127.0.0.1:1');
  expect(secret).toMatchObject({ code: 1, stderr: expect.stringMatching(/takes no user name and no password/) });
  expect(secret.stderr).not.toContain('hunter2');
  expect((await at('http://127.0.0.1:1/admin')).stderr).toBe('--url takes no path: give http://127.0.0.1:1\n');
  expect((await run(['status'], { env: { SALLYPORT_ADMIN_TOKEN: '' } })).stderr).toMatch(/"admin" in connector.yaml/);
  expect((await run(['sessions', '--limit', '0'], { env: { SALLYPORT_ADMIN_TOKEN: TOKEN } })).stderr).toMatch(
    /--limit takes a number from 1 to 1000/,
  );
});

it('a command sends no token in plain text beyond this machine unless it is told to', async () => {
  const asked = await run(['status', '--url', 'http://192.0.2.1:8788'], { env: { SALLYPORT_ADMIN_TOKEN: TOKEN } });
  expect(asked).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/the token would be read on the way: use https/),
  });
});
