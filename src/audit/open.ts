// The decision log and what is written to it besides calls, from the configuration.
import { hostname } from 'node:os';
import type { Config } from '../config/load.ts';
import type { Clock } from '../core/clock.ts';
import { VERSION } from '../core/paths.ts';
import { type AuditEvents, createAuditEvents } from './events.ts';
import { type AuditLog, createAuditLog } from './log.ts';

export interface Audit {
  readonly log: AuditLog;
  readonly events: AuditEvents;
  close(): Promise<void>;
}

/** `counting` wraps the log, so that metrics count what it is given; `written` is told how long each write took. Throws when the file cannot be opened. */
export function openAudit(
  config: Config['audit'],
  clock: Clock,
  { counting, written }: { counting: (log: AuditLog) => AuditLog; written: (seconds: number) => void },
): Audit {
  const log = counting(createAuditLog({ ...config, labels: { id: hostname(), version: VERSION }, onWritten: written }));
  return { log, events: createAuditEvents(log, clock), close: () => log.close() };
}
