// Access tokens bound to a client certificate (RFC 8705). The certificate comes from the connector's own TLS
// listener, or from the header of a trusted proxy.
import { request } from 'node:https';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Certificate, type Certificates, createCertificates } from '../support/certificates.ts';
import { type Harness, HOME, type Loose, startHarness } from '../support/harness.ts';
import { createIssuer, type Issuer } from '../support/tokens.ts';

let issuer: Issuer;
let h: Harness;
let certificates: Certificates;
let client: Certificate;
let other: Certificate;

beforeEach(async () => {
  issuer = await createIssuer(() => h.clock.now());
});
afterEach(async () => {
  await h.close();
  issuer.remove();
});

const body = (id: number) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'stock_list', arguments: {} },
});
const bound = (certificate: Certificate) => issuer.token({ cnf: { 'x5t#S256': certificate.thumbprint } });
const failures = async () => (await h.audit('event')).map((event) => event.failure).filter(Boolean);

describe.skipIf(!inject('openssl'))('R-06: certificate-bound tokens', () => {
  beforeEach(() => {
    certificates = createCertificates();
    client = certificates.make('client');
    other = certificates.make('other');
  });
  afterEach(() => certificates.remove());

  describe('our own TLS listener', () => {
    let server: Certificate;
    const start = async (more = '') => {
      server = certificates.make('server');
      h = await startHarness({
        edit: (yaml) =>
          yaml
            .replace('identity:\n', `identity:\n${issuer.yaml}`)
            .replace(
              'port: 0',
              `port: 0\n  tls: { cert_file: ${server.certFile}, key_file: ${server.keyFile}${more} }`,
            ),
      });
    };
    const send = (token: string, certificate?: Certificate): Promise<{ status: number; body: Loose }> =>
      new Promise((resolve, reject) => {
        const call = request(
          h.url,
          {
            method: 'POST',
            ca: server.cert,
            agent: false,
            ...(certificate && { cert: certificate.cert, key: certificate.key }),
            headers: {
              'content-type': 'application/json',
              accept: 'application/json, text/event-stream',
              authorization: `Bearer ${token}`,
              'x-forwarded-for': HOME,
            },
          },
          async (response) => {
            const chunks: Buffer[] = [];
            for await (const chunk of response) chunks.push(chunk as Buffer);
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString() || 'null') });
          },
        );
        call.on('error', reject);
        call.end(JSON.stringify(body(1)));
      });

    it('accepts the certificate that the access token names; another certificate, or none, is refused', async () => {
      await start();
      const token = await bound(client);
      expect((await send(token, client)).body.result.isError).toBeUndefined();
      expect((await send(token, other)).status).toBe(401);
      expect((await send(token)).status).toBe(401);
      expect(await failures()).toEqual(['certificate_mismatch', 'certificate_mismatch']);
      expect((await h.audit('decision')).at(-1).input.client.auth).toMatchObject({
        method: 'mtls',
        key: client.thumbprint,
      });
      // An access token without a binding is accepted with or without a certificate.
      expect((await send(await issuer.token({ sub: 'bob' }))).status).toBe(200);
      expect((await send(await issuer.token({ sub: 'bob' }), other)).status).toBe(200);
    });

    it('with a configured CA accepts only certificates of that CA', async () => {
      const ca = certificates.make('ca');
      const signed = certificates.make('signed', ca);
      await start(`, client_ca_file: ${ca.certFile}`);
      expect((await send(await bound(signed), signed)).status).toBe(200);
      expect((await send(await bound(client), client)).status).toBe(401);
    });

    it('says what is wrong with a certificate, and refuses a key file that others can read', async () => {
      await start();
      const { chmodSync } = await import('node:fs');
      chmodSync(server.keyFile, 0o644);
      const again = (edit: string) =>
        startHarness({ edit: (yaml) => yaml.replace('port: 0', `port: 0\n  tls: { ${edit} }`) });
      await expect(again(`cert_file: ${server.certFile}, key_file: ${server.keyFile}`)).rejects.toThrow('chmod 600');
      await expect(again(`cert_file: ${server.certFile}, key_file: ${client.keyFile}`)).rejects.toThrow(
        'not a certificate and its key',
      );
      await expect(again(`cert_file: /nowhere, key_file: ${client.keyFile}`)).rejects.toThrow('/nowhere');
    });
  });

  describe('the header of a trusted proxy', () => {
    const start = (mtls: string) =>
      startHarness({ edit: (yaml) => yaml.replace('identity:\n', `identity:\n${issuer.yaml}  mtls: ${mtls}\n`) });
    const send = async (token: string, headers: Record<string, string>) =>
      (await h.post(body(1), { authorization: `Bearer ${token}`, ...headers })).status;
    const rfc9440 = (certificate: Certificate) => `:${certificate.der.toString('base64')}:`;

    it('RFC 9440: its certificate counts like one from the TLS listener', async () => {
      h = await start('{ proxies: [127.0.0.0/8] }');
      const token = await bound(client);
      expect(await send(token, { 'client-cert': rfc9440(client) })).toBe(200);
      expect(await send(token, { 'client-cert': rfc9440(other) })).toBe(401);
      expect(await send(token, {})).toBe(401);
      for (const bad of [
        'x',
        ':AAAA:',
        `:${'A'.repeat(20_000)}:`,
        client.thumbprint,
        `${rfc9440(client)}, ${rfc9440(other)}`,
      ])
        expect(await send(token, { 'client-cert': bad })).toBe(401);
    });

    it('NGINX: a URL-encoded PEM', async () => {
      h = await start('{ header: X-Client-Cert, format: urlencoded_pem, proxies: [127.0.0.1/32] }');
      expect(await send(await bound(client), { 'x-client-cert': encodeURIComponent(client.cert) })).toBe(200);
      expect(await send(await bound(client), { 'x-client-cert': '%' })).toBe(401);
    });

    it('R-10, attack 17: from anybody else the header is refused, even with a valid credential', async () => {
      h = await start('{ proxies: [10.0.0.0/8] }');
      expect(await send(await bound(client), { 'client-cert': rfc9440(client) })).toBe(401);
      expect(await send(await issuer.token(), { 'client-cert': rfc9440(client) })).toBe(401);
      expect(await send(await issuer.token(), {})).toBe(200);
    });
  });
});
