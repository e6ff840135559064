import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeyringFile, writeKeyring } from '../../src/keyring/keyring.ts';

/** A keyring for replicas on one store, which no start makes. */
export function makeKeyring(): { file: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-ring-'));
  const file = join(dir, 'keyring.json');
  writeKeyring(file, createKeyringFile(new Date()));
  return { file, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
