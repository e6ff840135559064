// JWT access tokens as credentials of clients.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startHarness } from '../support/harness.ts';

let h: Harness;
beforeAll(async () => {
  h = await startHarness();
});
afterAll(() => h.close());

describe('JWT', () => {
  let own: Harness | undefined;
  afterEach(() => own?.close());

  it('R-01: only an access token with the right issuer, audience, type and algorithm is accepted', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    const other = await generateKeyPair('ES256');
    const jwks = join(h.stateDir, 'jwks.json');
    writeFileSync(jwks, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }] }));
    own = await startHarness({
      edit: (yaml) =>
        yaml.replace(
          'identity:\n',
          `identity:\n  jwt:\n    issuer: https://idp.example\n    audience: https://sallyport.example/mcp\n    jwks: { file: ${jwks} }\n    claims: { roles: /realm/roles }\n  claims: { policy: [tenant, /org/id, groups, admin, odd, gone] }\n`,
        ),
    });
    const connector = own;
    const now = Math.floor(connector.clock.now() / 1000);
    const good = {
      sub: 'alice',
      client_id: 'agent-7',
      scope: 'stock:write',
      realm: { roles: ['clerk'] },
      tenant: 'acme',
      org: { id: 7 },
      groups: ['a', 'b'],
      admin: false,
      odd: { nested: 1 },
      secret: 'not for policies',
      iss: 'https://idp.example',
      aud: 'https://sallyport.example/mcp',
      iat: now - 10,
      exp: now + 300,
    };
    const sign = (claims: object, header: object = {}, key = privateKey) =>
      new SignJWT({ ...claims } as never)
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1', ...header })
        .sign(key);
    const status = async (token: string) => (await connector.rpc('tools/list', {}, { key: token })).status;

    const token = await sign(good);
    expect(await status(token)).toBe(200);
    const answer = await connector.call('stock_list', {}, { key: token });
    expect(answer.body.result.isError).toBeUndefined();
    expect((await connector.audit('decision')).at(-1).input.client).toMatchObject({
      id: 'agent-7',
      subject: 'alice',
      issuer: 'https://idp.example',
      roles: ['clerk'],
      scopes: ['stock:write'],
      // Those that identity.claims.policy names, where they are of a kind that a policy can read.
      claims: { tenant: 'acme', '/org/id': 7, groups: ['a', 'b'], admin: false },
      auth: { method: 'jwt', age_seconds: 10, expires_in_seconds: 300, key: null },
    });

    /** What the log says of a credential that is refused. The client is told nothing of it. */
    const refusal = async (credential: string) => {
      expect(await status(credential)).toBe(401);
      const { failure, check } = (await connector.audit('event')).at(-1);
      return check === undefined ? failure : `${failure} ${check}`;
    };
    expect(await refusal(await sign({ ...good, aud: 'https://other.example' }))).toBe('claims_invalid aud');
    expect(await refusal(await sign({ ...good, iss: 'https://evil.example' }))).toBe('claims_invalid iss');
    expect(await refusal(await sign({ ...good, exp: now - 31 }))).toBe('token_expired exp');
    expect(await refusal(await sign({ ...good, nbf: now + 31 }))).toBe('claims_invalid nbf');
    expect(await refusal(await sign({ ...good, sub: undefined }))).toBe('claims_invalid sub');
    expect(await refusal(await sign({ ...good, sub: '' }))).toBe('claims_invalid sub');
    expect(await refusal(await sign({ ...good, client_id: undefined }))).toBe('claims_invalid client_id');
    expect(await refusal(await sign({ ...good, realm: { roles: [1] } }))).toBe('claims_invalid roles');
    expect(await refusal(await sign({ ...good, scope: [1] }))).toBe('claims_invalid scopes');
    expect(await refusal(await sign({ ...good, cnf: { kid: 'x' } }))).toBe('claims_invalid cnf');
    expect(await refusal(await sign(good, { typ: 'dpop+jwt' }))).toBe('claims_invalid typ');
    expect(await refusal(await sign(good, {}, other.privateKey))).toBe('signature_invalid signature');
    expect(await refusal(await sign(good, { kid: 'nobody' }))).toBe('signature_invalid kid');
    // an access token that is bound to a key is refused without the proof.
    expect(await refusal(await sign({ ...good, cnf: { jkt: 'x' } }))).toBe('bound_token_as_bearer');
    const [, payload] = token.split('.');
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
    expect(await refusal(`${none}.${payload}.x`)).toBe('signature_invalid alg');
    expect(await refusal('a.b.c')).toBe('signature_invalid format');

    // a refreshed access token keeps the session, because the client is the same.
    const refreshed = await sign({ ...good, iat: now, exp: now + 600, jti: 'second' });
    await connector.call('stock_list', {}, { key: refreshed });
    expect(connector.legacy.stats().logins).toBe(1);

    // The verification of an access token is cached, and the token still expires.
    connector.clock.advance(601);
    expect(await status(token)).toBe(401);
  });
});
