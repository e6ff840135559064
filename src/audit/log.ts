// The decision log: JSON lines. A decision is durable before any effect; a call whose decision cannot be written is
// refused. Nothing stands between a record and its file; further sinks hang on winston, off the way of a call.
import { escapeUnseen } from '../core/printable.ts';
import { constant, jsonTextOf } from '../formats/json-text.ts';
import { type AppendFileOptions, openAppendFile } from './append-file.ts';
import { createBatches } from './batches.ts';
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
export interface AuditOptions extends AppendFileOptions {
  /**
   * Fields that every record has under `labels`, as in the decision log of OPA: they say which process wrote it.
   */
  labels: Record<string, string>;
}

/** Opens the log. Throws when the file cannot be opened. */
export function createAuditLog({ labels, ...options }: AuditOptions): AuditLog {
  constant(labels);
  const batches = createBatches(openAppendFile(options));
  let closed = false;

  const write = async (level: 'info' | 'warn', record: AuditRecord, urgent = false): Promise<void> => {
    if (closed) throw new Error('the decision log is closed');
    await batches.write(recordLine(level, record, labels), urgent);
  };

  return {
    decided: (record) => write('info', record, true),
    finished: (record) => write('info', record).catch(() => {}),
    alert: (record) => write('warn', record, true),
    event: (record) => write('info', record).catch(() => {}),
    get failure() {
      return batches.failure && 'the decision log cannot be written';
    },
    flushed: () => batches.flushed(),
    async close() {
      closed = true;
      await batches.close();
    },
  };
}

/**
 * One record is one line, whatever stands in it. Input and decision of a call come last, because they are text
 * already.
 */
export function recordLine(level: 'info' | 'warn', record: AuditRecord, labels: Record<string, string>): string {
  const head = `{"level":"${level}","message":"${record.type}",`;
  const tail = `"labels":${jsonTextOf(labels)}`;
  if (record.type !== 'decision') return escapeUnseen(`${head}${JSON.stringify(record).slice(1, -1)},${tail}}`);
  const { input, result, ...rest } = record;
  const texts = `"input":${jsonTextOf(input)},"result":${jsonTextOf(result)}`;
  return escapeUnseen(`${head}${JSON.stringify(rest).slice(1, -1)},${tail},${texts}}`);
}
