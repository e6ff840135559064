// The decision log: JSON lines. A decision is durable before any effect; a call whose decision cannot be written is
// refused (R-60). Nothing stands between a record and its file.
import { escapeUnseen } from '../core/printable.ts';
import { jsonTextOf } from '../formats/json-text.ts';
import { type AppendFileOptions, openAppendFile } from './append-file.ts';
import { type Appender, createBatches } from './batches.ts';
import type { AlertRecord, AuditRecord, CallEndRecord, DecisionHead, DecisionRecord, EventRecord } from './records.ts';

/** Writes the records of the decision log, each as one line of JSON. */
export interface AuditLog {
  /** Writes a decision record. Rejects when it is not durable; the call must then have no effect. */
  decided(record: DecisionHead, body: Pick<DecisionRecord, 'input' | 'result'>): Promise<void>;
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
  /** How many records wait for the disk. */
  readonly backlog: number;
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
  /** Told how long each write took. */
  onWritten?: (seconds: number) => void;
}

/** Opens the log. Throws when the file cannot be opened. */
export function createAuditLog({ labels, onWritten = () => {}, ...options }: AuditOptions): AuditLog {
  const labelled = `"labels":${JSON.stringify(labels)}`;
  const batches = createBatches(timed(openAppendFile(options), onWritten), (failingMs) => {
    const timestamp = new Date().toISOString();
    const failing_seconds = Math.round(failingMs / 1000);
    return recordLine('info', { type: 'event', event: 'log_restored', timestamp, failing_seconds }, labelled, '');
  });
  let closed = false;

  const write = (level: Level, record: AuditRecord, urgent = false, body = ''): Promise<void> =>
    closed
      ? Promise.reject(new Error('the decision log is closed'))
      : batches.write(recordLine(level, record, labelled, body), urgent);

  return {
    decided: (record, { input, result }) =>
      write('info', record, true, `,"input":${jsonTextOf(input)},"result":${jsonTextOf(result)}`),
    finished: (record) => write('info', record).catch(() => {}),
    alert: (record) => write('warn', record, true),
    event: (record) => write('info', record).catch(() => {}),
    get failure() {
      const code = (batches.failure as NodeJS.ErrnoException | undefined)?.code;
      return batches.failure && `the decision log cannot be written${code === undefined ? '' : ` (${code})`}`;
    },
    get backlog() {
      return batches.waiting;
    },
    flushed: () => batches.flushed(),
    async close() {
      closed = true;
      await batches.close();
    },
  };
}

/** Tells how long each append takes. */
const timed = (appender: Appender, onWritten: (seconds: number) => void): Appender => ({
  ...appender,
  async append(lines) {
    const began = performance.now();
    await appender.append(lines);
    onWritten((performance.now() - began) / 1000);
  },
});

type Level = 'info' | 'warn';

/** One record is one line, whatever stands in it (R-62). `labelled` and `body` are members of it that are text already. */
const recordLine = (level: Level, record: AuditRecord, labelled: string, body: string): string =>
  escapeUnseen(
    `{"level":"${level}","message":"${record.type}",${JSON.stringify(record).slice(1, -1)},${labelled}${body}}`,
  );
