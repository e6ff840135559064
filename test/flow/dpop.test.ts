// Sender-constrained access tokens with DPoP (RFC 9449) over real HTTP. Valid calls use an independent client library
// (oauth4webapi); wrong ones use proofs made by hand.
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK } from 'jose';
import * as oauth from 'oauth4webapi';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Harness, HOME, startHarness } from '../support/harness.ts';
import {
  createIssuer,
  createProofKey,
  type Issuer,
  makeProof,
  type ProofKey,
  type ProofParts,
} from '../support/tokens.ts';

let issuer: Issuer;
let h: Harness;
let key: ProofKey;
let token: string;

const start = async (more = '') => {
  h = await startHarness({ edit: (yaml) => yaml.replace('identity:\n', `identity:\n${issuer.yaml}${more}`) });
  token = await issuer.token({ cnf: { jkt: key.thumbprint } });
};

beforeEach(async () => {
  issuer = await createIssuer(() => h.clock.now());
  key = await createProofKey();
  await start();
});
afterEach(async () => {
  await h.close();
  issuer.remove();
});

let id = 1;
const body = (tool = 'stock_list') => ({
  jsonrpc: '2.0',
  id: id++,
  method: 'tools/call',
  params: { name: tool, arguments: {} },
});
const send = (proof: string | undefined, { scheme = 'DPoP', headers = {}, access = token } = {}) =>
  h.post(body(), { authorization: `${scheme} ${access}`, ...(proof !== undefined && { dpop: proof }), ...headers });

/** Makes a proof that is valid except for the given parts. It gets its nonce as any client would. */
async function proof(parts: Partial<ProofParts> = {}): Promise<string> {
  const { nonce = await freshNonce(), ...rest } = parts;
  return makeProof(key, { token, url: h.url, now: h.clock.now(), nonce, ...rest });
}
async function freshNonce(): Promise<string> {
  const asked = await send(await makeProof(key, { token, url: h.url, now: h.clock.now() }));
  return asked.headers.get('dpop-nonce') ?? '';
}
const lastCheck = async () => (await h.audit('event')).at(-1).check;
const failures = async () => (await h.audit('event')).map((event) => event.failure).filter(Boolean);

describe('R-07: what a client sees', () => {
  it('a client library gets a nonce, proves possession, and its calls are decided as DPoP calls', async () => {
    const keys = await oauth.generateKeyPair('ES256');
    const headers = new Headers({
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'x-forwarded-for': HOME,
    });
    // The connector's clock stands still, so the library is told how far its own clock differs.
    const offset = { [oauth.clockSkew]: Math.round((h.clock.now() - Date.now()) / 1000) };
    const dpop = oauth.DPoP(offset, keys);
    const bound = await issuer.token({ cnf: { jkt: await dpop.calculateThumbprint() } });
    const request = () =>
      oauth.protectedResourceRequest(bound, 'POST', new URL(h.url), headers, JSON.stringify(body('stock_list')), {
        DPoP: dpop,
        [oauth.allowInsecureRequests]: true,
      });
    await expect(request()).rejects.toSatisfy((error) => oauth.isDPoPNonceError(error));
    for (let i = 0; i < 3; i++) {
      const answer = await request();
      expect(answer.status).toBe(200);
      expect(answer.headers.get('dpop-nonce')).toBeTruthy();
    }
    const decision = (await h.audit('decision')).at(-1);
    expect(decision.input.client.auth).toMatchObject({ method: 'dpop', key: await dpop.calculateThumbprint() });
    expect(decision.input.replay).toMatchObject({ source: 'dpop_jti', seen: false });
    expect(decision.input.session.bound.key).toBe(await dpop.calculateThumbprint());
  });

  it('a first call without a nonce gets one in the answer, and does not count as a failure', async () => {
    const answer = await send(await makeProof(key, { token, url: h.url, now: h.clock.now() }));
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toMatch(/^DPoP .*error="use_dpop_nonce".*algs="ES256 /);
    expect(answer.headers.get('dpop-nonce')).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/);
    expect(await failures()).toEqual([]);
  });

  it('the metadata names the algorithms (RFC 9728)', async () => {
    const { body } = await fetch(new URL('/.well-known/oauth-protected-resource', h.url)).then(async (answer) => ({
      body: (await answer.json()) as Record<string, unknown>,
    }));
    expect(body.dpop_signing_alg_values_supported).toContain('ES256');
    expect(body.dpop_bound_access_tokens_required).toBeUndefined();
  });

  it('a destructive tool needs a replay source, and a DPoP proof is one', async () => {
    const boss = await issuer.token({ cnf: { jkt: key.thumbprint }, roles: ['manager'] });
    token = boss;
    const message = { ...body(), params: { name: 'stock_write_off', arguments: { sku: 'C-3' } } };
    const answer = await h.post(message, { authorization: `DPoP ${token}`, dpop: await proof() });
    expect(answer.body.result.isError).toBeUndefined();
    expect(h.legacy.stats().writes).toBe(1);
  });
});

describe('R-07, attack 5: a proof that is wrong in any part is refused', () => {
  const wrong: [name: string, check: string, parts: Partial<ProofParts> | (() => Partial<ProofParts>)][] = [
    ['htm of another method', 'htm', { method: 'GET' } as Partial<ProofParts>],
    ['htu of another path', 'htu', () => ({ url: `${h.url}/other` })],
    ['htu of another host', 'htu', { url: 'https://elsewhere.example/mcp' }],
    ['htu that is no URL', 'htu', { url: 'mcp' }],
    ['ath of another token', 'ath', { claims: { ath: 'x'.repeat(43) } }],
    ['no ath', 'ath', { claims: { ath: undefined } }],
    ['no jti', 'jti', { claims: { jti: undefined } }],
    ['empty jti', 'jti', { claims: { jti: '' } }],
    ['jti that is a number', 'jti', { claims: { jti: 5 } }],
    ['huge jti', 'jti', { claims: { jti: 'x'.repeat(5000) } }],
    ['no iat', 'iat', { claims: { iat: undefined } }],
    ['iat that is text', 'iat', { claims: { iat: '1' } }],
    ['typ of another kind', 'typ', { header: { typ: 'JWT' } }],
    ['no typ', 'typ', { header: { typ: undefined } }],
    ['a symmetric algorithm', 'alg', { header: { alg: 'HS256' }, signWith: new Uint8Array(32) as never }],
    ['no key in the header', 'jwk', { header: { jwk: undefined } }],
    ['an invalid key', 'jwk', { header: { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } } }],
  ];

  it.each(wrong)('%s: the log names %s', async (_name, check, parts) => {
    expect((await send(await proof(typeof parts === 'function' ? parts() : parts))).status).toBe(401);
    expect(await h.audit('decision')).toEqual([]);
    expect((await h.audit('event')).at(-1)).toMatchObject({ failure: 'proof_invalid', check, client: 'agent-7' });
  });

  it.each([
    ['a nonce that is not ours', { nonce: 'AAAA.AAAA' }],
    ['a nonce that is a number', { claims: { nonce: 7 } }],
  ])('%s', async (_name, parts) => {
    expect((await send(await proof(parts))).status).toBe(401);
    expect(await h.audit('decision')).toEqual([]);
  });

  it('a private key in the header, another key, a signature of another key', async () => {
    const exported = await exportJWK(key.privateKey);
    expect((await send(await proof({ header: { jwk: exported } }))).status).toBe(401);
    expect(await lastCheck()).toBe('jwk');
    const other = await createProofKey();
    expect(
      (await send(await makeProof(other, { token, url: h.url, now: h.clock.now(), nonce: await freshNonce() }))).status,
    ).toBe(401);
    expect(await lastCheck()).toBe('jkt');
    expect((await send(await proof({ signWith: other.privateKey }))).status).toBe(401);
    expect(await lastCheck()).toBe('signature');
    expect((await send(await proof({ header: { jwk: other.jwk } }))).status).toBe(401);
  });

  it('alg none, no proof, two proofs, garbage, and far too much of it', async () => {
    const good = await proof();
    const [, payload] = good.split('.');
    const none = `${Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg: 'none', jwk: key.jwk })).toString('base64url')}.${payload}.`;
    const bad: [proof: string | undefined, failure: string, check: string | undefined][] = [
      [none, 'proof_invalid', 'alg'],
      [undefined, 'proof_missing', undefined],
      [`${good}, ${good}`, 'proof_invalid', 'format'],
      ['x', 'proof_invalid', 'format'],
      ['a.b.c', 'proof_invalid', 'format'],
      [`${good}${'A'.repeat(9000)}`, 'proof_invalid', 'length'],
    ];
    for (const [text, failure, check] of bad) {
      expect((await send(text)).status).toBe(401);
      const event = (await h.audit('event')).at(-1);
      expect([event.failure, event.check]).toEqual([failure, check]);
      expect(JSON.stringify(event)).not.toContain(good.slice(0, 40));
    }
    const twice = await fetch(h.url, {
      method: 'POST',
      headers: [
        ['content-type', 'application/json'],
        ['authorization', `DPoP ${token}`],
        ['x-forwarded-for', HOME],
        ['dpop', good],
        ['dpop', await proof()],
      ],
      body: JSON.stringify(body()),
    });
    expect(twice.status).toBe(401);
    expect((await send(good)).status).toBe(200);
  });

  it('a proof that is too old, or of the future', async () => {
    const now = h.clock.now();
    expect((await send(await proof({ now: now - 61_000 }))).status).toBe(401);
    expect((await send(await proof({ now: now + 12_000 }))).status).toBe(401);
    expect(await lastCheck()).toBe('iat');
    expect((await send(await proof({ now: now - 59_000 }))).status).toBe(200);
    expect((await send(await proof({ now: now + 9000 }))).status).toBe(200);
  });

  it('but an equivalent spelling of the URL, in capitals and with a query, is accepted', async () => {
    const url = new URL(h.url);
    expect((await send(await proof({ url: `HTTP://${url.host.toUpperCase()}/mcp?x=1#y` }))).status).toBe(200);
  });
});

it('R-06, attack 4: a bound access token sent as Bearer, and an unbound one sent as DPoP, are refused', async () => {
  expect((await send(await proof(), { scheme: 'Bearer' })).status).toBe(401);
  const free = await issuer.token();
  expect((await send(await proof({ token: free }), { access: free })).status).toBe(401);
  expect((await send(await proof(), { access: h.key })).status).toBe(401);
  expect(await failures()).toEqual(['bound_token_as_bearer', 'unbound_token_as_dpop', 'unbound_token_as_dpop']);
  // The access token is bound in a way that the connector cannot check.
  for (const cnf of [{ kid: 'x' }, {}, 'x', { jkt: 5 }, { jkt: key.thumbprint, jwk: {} }]) {
    const odd = await issuer.token({ cnf });
    expect((await send(await proof({ token: odd }), { access: odd })).status).toBe(401);
  }
});

it('R-08, attack 2: of 50 copies of one proof one is accepted, and one alert is raised', async () => {
  const copy = await proof();
  const answers = await Promise.all(Array.from({ length: 50 }, () => send(copy)));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 401)).toHaveLength(49);
  expect(await h.audit('decision')).toHaveLength(1);
  expect(await h.audit('alert')).toMatchObject([
    { reasons: ['authn.proof_replayed'], severity: 'high', client: { id: 'agent-7' }, decision_id: null },
  ]);
});

describe('R-09: nonces', () => {
  it('rotate: an old nonce is refused, and the answer brings a new one', async () => {
    const nonce = await freshNonce();
    h.clock.advance(119);
    expect(await freshNonce()).toBe(nonce);
    h.clock.advance(2);
    const next = await freshNonce();
    expect(next).not.toBe(nonce);
    expect((await send(await proof({ nonce }))).status).toBe(200);
    h.clock.advance(120);
    const late = await send(await proof({ nonce }));
    expect(late.status).toBe(401);
    expect(late.headers.get('www-authenticate')).toContain('use_dpop_nonce');
    expect((await send(await proof({ nonce: late.headers.get('dpop-nonce') ?? '' }))).status).toBe(200);
  });

  it('change at restart, so that a lost ledger of proofs lets nothing through', async () => {
    const captured = await proof();
    expect((await send(captured)).status).toBe(200);
    const { clock, stateDir, url } = h;
    // The restarted connector has the same keys; only its memory is gone.
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-ring-'));
    copyFileSync(join(stateDir, 'keyring.json'), join(dir, 'keyring.json'));
    await h.close();
    h = await startHarness({
      clock,
      edit: (yaml) =>
        yaml
          .replace('identity:\n', `identity:\n${issuer.yaml}`)
          .replace('port: 0', `port: ${new URL(url).port}`)
          .replace('state_dir:', `keyring_file: ${join(dir, 'keyring.json')}\nstate_dir:`),
    });
    const replayed = await send(captured);
    expect(replayed.status).toBe(401);
    expect(replayed.headers.get('www-authenticate')).toContain('use_dpop_nonce');
    rmSync(dir, { recursive: true });
  });
});

it('R-06: in strict mode an access token without a binding is refused, and so are API keys', async () => {
  await h.close();
  await start('  sender_constrained: required\n');
  expect((await send(undefined, { scheme: 'Bearer', access: await issuer.token() })).status).toBe(401);
  expect((await send(undefined, { scheme: 'Bearer', access: h.key })).status).toBe(401);
  expect((await send(await proof())).status).toBe(200);
  expect(await failures()).toEqual(['sender_constraint_missing', 'sender_constraint_missing']);
  const metadata = await fetch(new URL('/.well-known/oauth-protected-resource', h.url)).then((answer) => answer.json());
  expect(metadata).toMatchObject({ dpop_bound_access_tokens_required: true });
});

it('R-04: a refreshed access token keeps the session; a token with another key, or without one, does not get it', async () => {
  expect((await send(await proof())).status).toBe(200);
  token = await issuer.token({ cnf: { jkt: key.thumbprint }, jti: 'refreshed' });
  expect((await send(await proof())).status).toBe(200);
  expect(h.legacy.stats().logins).toBe(1);
  // The same client, subject and issuer with a key of somebody else.
  const [mine, stolen] = [key, await createProofKey()];
  key = stolen;
  token = await issuer.token({ cnf: { jkt: stolen.thumbprint } });
  const other = await send(await proof());
  expect(other.body.result._meta['sallyport/reasons']).toEqual(['binding.key_changed']);
  key = mine;
  const bearer = await issuer.token();
  // A plain access token, which proves no key, does not get the session either.
  token = await issuer.token({ cnf: { jkt: key.thumbprint } });
  expect((await send(await proof())).status).toBe(200);
  const plain = await send(undefined, { scheme: 'Bearer', access: bearer });
  expect(plain.body.result._meta['sallyport/reasons']).toEqual(['binding.key_changed']);
});

it('R-05, attack 9: a session that was opened without a key is not upgraded: it is replaced', async () => {
  const bearer = await issuer.token();
  expect((await send(undefined, { scheme: 'Bearer', access: bearer })).status).toBe(200);
  expect((await send(await proof())).status).toBe(200);
  await h.connector.settled();
  expect((await h.audit('decision')).at(-1).result).toMatchObject({
    outcome: 'rotate',
    reasons: [{ code: 'binding.key_added' }],
  });
  expect(h.legacy.stats()).toMatchObject({ logins: 2, liveSessions: 1 });
});
