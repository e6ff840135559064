// The decision log: JSON lines through winston (its only home, with file-transport.ts and ops.ts).
// A decision is durable before any effect; what cannot be written refuses its call.
import { LEVEL, MESSAGE } from 'triple-beam';
import winston from 'winston';
import { FileTransport, type FileTransportOptions, URGENT, WRITTEN } from './file-transport.ts';
import type { AlertRecord, AuditRecord, CallEndRecord, DecisionRecord, EventRecord } from './records.ts';

export interface AuditLog {
  /** Rejects when the record is not durable: nothing may happen then. */
  decided(record: DecisionRecord): Promise<void>;
  /** Resolves when written; a failure makes `failure` known and is not thrown, the effect has happened. */
  finished(record: CallEndRecord): Promise<void>;
  /** Rejects when not durable: an alert is an obligation, and a failed obligation refuses. */
  alert(record: AlertRecord): Promise<void>;
  event(record: EventRecord): Promise<void>;
  /** Why the log cannot be written at present, for /readyz. */
  readonly failure: string | undefined;
  /** Resolves when every record given so far is written or has failed. */
  flushed(): Promise<void>;
  close(): Promise<void>;
}

export interface AuditOptions extends FileTransportOptions {
  /** Fields of every record, under `labels` as OPA has it: who wrote it. */
  labels: Record<string, string>;
}

/** JSON.stringify escapes CR, LF and control characters, so one record is one line. */
const line = winston.format((entry) => {
  entry[MESSAGE] = JSON.stringify(entry);
  return entry;
});

/** Throws when the file cannot be opened. */
export function createAuditLog({ labels, ...options }: AuditOptions): AuditLog {
  const transport = new FileTransport(options);
  const logger = winston.createLogger({ level: 'info', format: line(), transports: [transport] });
  let closed = false;

  const write = (level: 'info' | 'warn', record: AuditRecord, urgent = false): Promise<void> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(new Error('the decision log is closed'));
      const written = (error?: Error) => (error ? reject(error) : resolve());
      logger.write({
        level,
        [LEVEL]: level,
        message: record.type,
        ...record,
        labels,
        [WRITTEN]: written,
        [URGENT]: urgent,
      });
    });

  return {
    decided: (record) => write('info', record, true),
    finished: (record) => write('info', record).catch(() => {}),
    alert: (record) => write('warn', record, true),
    event: (record) => write('info', record).catch(() => {}),
    get failure() {
      return transport.failure && 'the decision log cannot be written';
    },
    flushed: () => transport.flushed(),
    async close() {
      closed = true;
      await transport.flushed();
      logger.close();
      await transport.shut();
    },
  };
}
