// An authorization server for one test: its key set as a file, and access tokens as it would sign them. DPoP proofs
// are made by hand, so that each part of a proof can be wrong.
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

export const ISSUER = 'https://idp.example';
export const AUDIENCE = 'https://sallyport.example/mcp';

export interface Issuer {
  /** Lines under `identity:` of a connector.yaml. */
  yaml: string;
  /** An access token; claims are added to those of a clerk called alice. */
  token(claims?: object, now?: number): Promise<string>;
  remove(): void;
}

export async function createIssuer(now: () => number = Date.now): Promise<Issuer> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-issuer-'));
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const file = join(dir, 'jwks.json');
  writeFileSync(file, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }] }));
  return {
    yaml: `  jwt:\n    issuer: ${ISSUER}\n    audience: ${AUDIENCE}\n    jwks: { file: ${file} }\n`,
    token: (claims = {}) => {
      const at = Math.floor(now() / 1000);
      return new SignJWT({
        iss: ISSUER,
        aud: AUDIENCE,
        sub: 'alice',
        client_id: 'agent-7',
        roles: ['clerk'],
        scope: 'stock:write',
        iat: at,
        exp: at + 3600,
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
        .sign(privateKey);
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

export interface ProofKey {
  jwk: JWK;
  privateKey: CryptoKey;
  thumbprint: string;
}

export async function createProofKey(algorithm = 'ES256'): Promise<ProofKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return { jwk, privateKey, thumbprint: await calculateJwkThumbprint(jwk) };
}

export interface ProofParts {
  token: string;
  url: string;
  nonce?: string | undefined;
  now?: number;
  method?: string;
  header?: object;
  /** Members of the claims that are changed; undefined takes one away. */
  claims?: Record<string, unknown>;
  signWith?: CryptoKey;
}

export async function makeProof(key: ProofKey, parts: ProofParts): Promise<string> {
  const { token, url, nonce, now = Date.now(), method = 'POST', header = {}, claims = {}, signWith } = parts;
  const all = {
    jti: randomUUID(),
    htm: method,
    htu: url,
    iat: Math.floor(now / 1000),
    ath: createHash('sha256').update(token).digest('base64url'),
    ...(nonce !== undefined && { nonce }),
    ...claims,
  };
  const present = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new SignJWT(present)
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: key.jwk, ...header })
    .sign(signWith ?? key.privateKey);
}
