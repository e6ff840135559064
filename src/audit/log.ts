// The decision log: JSON lines, written through winston (only imported here, in file-transport.ts and in ops.ts).
// A decision is durable before any effect; a call whose decision cannot be written is refused.
import { LEVEL, MESSAGE } from 'triple-beam';
import winston from 'winston';
import { jsonLine } from '../core/printable.ts';
import { FileTransport, type FileTransportOptions, URGENT, WRITTEN } from './file-transport.ts';
import type { AlertRecord, AuditRecord, CallEndRecord, DecisionRecord, EventRecord } from './records.ts';

/** Writes the records of the decision log, each as one line of JSON. */
export interface AuditLog {
  /** Writes a decision record. Rejects when it is not durable; the call must then have no effect. */
  decided(record: DecisionRecord): Promise<void>;
  /**
   * Writes the record of how a call ended. Never rejects, because the effect has already happened; a write error
   * shows in `failure`.
   */
  finished(record: CallEndRecord): Promise<void>;
  /**
   * Writes an alert. Rejects when it is not durable: an alert is an obligation, and a failed obligation refuses
   * the call.
   */
  alert(record: AlertRecord): Promise<void>;
  /** Writes an event. Never rejects; a write error shows in `failure`. */
  event(record: EventRecord): Promise<void>;
  /** Why the log cannot be written at present, or undefined. Reported by /readyz. */
  readonly failure: string | undefined;
  /** Resolves when every record given so far is written or has failed. */
  flushed(): Promise<void>;
  /** Writes what is left and closes the file. A record that is given later fails. */
  close(): Promise<void>;
}

/** Where the log is written, and what every record says about its writer. */
export interface AuditOptions extends FileTransportOptions {
  /**
   * Fields that every record has under `labels`, as in the decision log of OPA: they say which process wrote it.
   */
  labels: Record<string, string>;
}

/** One record is one line, whatever stands in it. */
const line = winston.format((entry) => {
  entry[MESSAGE] = jsonLine(entry);
  return entry;
});

/** Opens the log. Throws when the file cannot be opened. */
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
