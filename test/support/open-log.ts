// A decision log without a connector, in a folder of a test.
import { join } from 'node:path';
import { openHead } from '../../src/audit/chain/head.ts';
import { openSigningKeys } from '../../src/audit/chain/keys.ts';
import { type AuditLog, type AuditOptions, createAuditLog } from '../../src/audit/log/log.ts';
import { createTestClock } from './clock.ts';

export interface OpenLogOptions extends Partial<Omit<AuditOptions, 'files'>> {
  decisions?: string;
  events?: string;
  rotate?: AuditOptions['files']['decisions']['rotate'];
}

/** Opens decisions.jsonl and events.jsonl in a folder, with keys and head beside them. */
export function openLogIn(dir: string, { decisions, events, rotate, ...options }: OpenLogOptions = {}): AuditLog {
  const clock = options.clock ?? createTestClock();
  return createAuditLog({
    files: {
      decisions: { file: decisions ?? join(dir, 'decisions.jsonl'), rotate },
      events: { file: events ?? join(dir, 'events.jsonl'), rotate },
    },
    to: 'file',
    durability: 'os',
    checkpoint: { records: 1000, seconds: 3600 },
    keys: openSigningKeys({ file: join(dir, 'audit-keys.json'), clock, onProblem: () => {} }),
    head: openHead(join(dir, 'audit-head.json')),
    clock,
    labels: {},
    ...options,
  });
}
