// The test vectors of docs/audit.md: three lines of a chain, from a key that everybody knows.
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { linked, NOTHING_BEFORE, type Position } from '../../src/audit/chain/chain.ts';
import { signed } from '../../src/audit/chain/checkpoint.ts';
import { positionOf } from '../../src/audit/log/tail.ts';

/** PKCS #8 (RFC 8410) around a seed of the bytes 1 to 32. */
const SEED = Buffer.from(Array.from({ length: 32 }, (_, i) => i + 1));
const privateKey = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), SEED]),
  format: 'der',
  type: 'pkcs8',
});
const publicKey = createPublicKey(privateKey);
const id = createHash('sha256')
  .update(publicKey.export({ format: 'der', type: 'spki' }))
  .digest('hex')
  .slice(0, 16);

const LABELS = '"labels":{"id":"host","version":"0.1.0","replica":"1111111111111111"}';
const RECORDS = [
  `{"level":"info","message":"event","form":2,"type":"event","event":"log_started","timestamp":"2026-11-28T10:00:00.000Z","log":"events","cause":"new",${LABELS}}`,
  `{"level":"info","message":"event","form":2,"type":"event","event":"test","timestamp":"2026-11-28T10:00:01.000Z","text":"ä \\\\ \\"",${LABELS}}`,
  `{"level":"info","message":"checkpoint","form":2,"type":"checkpoint","timestamp":"2026-11-28T10:00:02.000Z","log":"events","cause":"closed","key":"${id}",${LABELS}}`,
];

/** The lines, their hashes, and the file of public keys. */
export function vectors(): { lines: string[]; hashes: string[]; keys: object } {
  const lines: string[] = [];
  const hashes: string[] = [];
  let at: Position = { chain: '00112233445566ff', seq: 0, hash: NOTHING_BEFORE };
  RECORDS.forEach((record, i) => {
    const text = linked(record, at);
    const line = i === RECORDS.length - 1 ? signed(text, { id, privateKey }) : text;
    at = positionOf(Buffer.from(line)) as Position;
    lines.push(line);
    hashes.push(at.hash);
  });
  const pem = String(publicKey.export({ format: 'pem', type: 'spki' }));
  return {
    lines,
    hashes,
    keys: { version: 1, keys: [{ id, public_key: pem, signs_from: '2026-11-28T09:59:00.000Z', retired_at: null }] },
  };
}
