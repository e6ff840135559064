// A decision log as a connector writes it: rotations, replays, a second network, denials, masks, two clients of two roles.
import { copyFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSigningKeys } from '../../src/audit/chain/keys.ts';
import { exportKeys } from '../../src/audit/read/public-keys.ts';
import { ELSEWHERE, type HarnessOptions, type Loose, startHarness } from './harness.ts';

export interface RecordedLog {
  dir: string;
  file: string;
  /** Public keys, for --keys. */
  keys: string;
  /** The policy that decided, as the connector keeps it. */
  kept: string;
  /** The decision records, as they stand in the file. */
  decisions: Loose[];
  remove(): void;
}

/** `rounds`: each has about two calls. The file is sealed, because the connector was stopped. */
export async function recordLog(rounds: number, options: HarnessOptions = {}): Promise<RecordedLog> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-recorded-'));
  const harness = await startHarness({ ...options, clients: { mia: ['manager'], ...options.clients } });
  const { clock } = harness;
  const mia = { key: harness.keys.get('mia') as string };
  const own = await harness.initialize();
  const hers = await harness.initialize(mia);
  const get = (id: number, more: object = {}) =>
    harness.call('stock_get', { sku: 'A-100' }, { handle: own, id, ...more });
  for (let i = 0; i < rounds; i++) {
    clock.advance(2);
    await get(i * 3 + 1);
    if (i % 3 === 0) await harness.call('stock_adjust', { sku: 'A-100', delta: 1 }, { handle: own, id: i * 3 + 2 });
    if (i % 4 === 0) await harness.call('stock_list', {}, { ...mia, handle: hers, id: i + 10 });
    if (i % 20 === 5) await harness.call('stock_write_off', { sku: 'A-100' }, { handle: own, id: i * 3 + 3 });
    if (i % 50 === 7) await get(i * 3 + 1);
    if (i % 60 === 9) {
      await get(i * 3 + 2, { ip: ELSEWHERE });
      clock.advance(200);
    }
    if (i % 100 === 99) clock.advance(400);
  }
  const decisions = await harness.audit('decision');
  const [file, keys] = [join(dir, 'decisions.jsonl'), join(dir, 'keys.json')];
  await harness.connector.close();
  copyFileSync(join(harness.stateDir, 'decisions.jsonl'), file);
  writeFileSync(keys, JSON.stringify(exportKeys(readSigningKeys(join(harness.stateDir, 'audit-keys.json')))));
  const kept = join(dir, 'kept');
  cpSync(join(harness.stateDir, 'policies', harness.connector.policy.revision), kept, { recursive: true });
  await harness.close();
  return { dir, file, keys, kept, decisions, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
