// The decision log: JSON lines in two files, one with the decisions and how their calls ended, one with events and alerts,
// each with a chain of its own. A decision is durable before any effect; a call whose decision cannot be written is refused
// (R-60). Nothing stands between a record and its file.
import type { Clock } from '../../core/clock.ts';
import { escapeUnseen } from '../../core/printable.ts';
import { jsonTextOf } from '../../formats/json-text.ts';
import type { Head, LogName } from '../chain/head.ts';
import type { SigningKeys } from '../chain/keys.ts';
import {
  type AlertRecord,
  type AuditRecord,
  type CallEndRecord,
  type DecisionHead,
  type DecisionRecord,
  type EventRecord,
  FORM,
} from '../records.ts';
import { type Appender, type Batches, createBatches } from './batches.ts';
import type { Told } from './resume.ts';
import { createRotation, type RotationConfig } from './rotation.ts';
import { createStdout } from './stdout.ts';
import { openWriter } from './writer.ts';

/** Writes the records of the decision log, each as one line of JSON. */
export interface AuditLog {
  /** Writes a decision record. Rejects when it is not durable; the call must then have no effect. */
  decided(record: DecisionHead, body: Pick<DecisionRecord, 'input' | 'result'>): Promise<void>;
  /**
   * Writes the record of how a call ended. Never rejects, because the effect has already happened; a write error
   * shows in `failure`, and the record is written when writes succeed again.
   */
  finished(record: CallEndRecord): Promise<void>;
  /**
   * Writes an alert. Rejects when it is not durable: an alert is an obligation, and a failed obligation refuses
   * the call.
   */
  alert(record: AlertRecord): Promise<void>;
  /** Writes an event. Never rejects, as `finished`. */
  event(record: EventRecord): Promise<void>;
  /** What records say about their writer from now on. */
  identify(writer: Partial<Writer>): void;
  /** Why the log cannot be written at present, or undefined. Reported by /readyz. */
  readonly failure: string | undefined;
  /** How many records wait for the disk. */
  readonly backlog: number;
  /** Resolves when every record given so far is written or has failed. */
  flushed(): Promise<void>;
  /** Writes what is left, seals the files and closes them. A record that is given later fails. */
  close(): Promise<void>;
}

/** What every record says of its writer, and changes while it runs. */
export interface Writer {
  /** The revision of the configuration. */
  configuration: string;
  /** The policy in force, for records that are not about a call: those name the policy that decided. */
  policy: { readonly revision: string; readonly wasmSha256: string };
}

/** Where the logs are written. */
export interface AuditOptions {
  /** The file of each log; left out where `to` is stdout. */
  files: Readonly<Record<LogName, { file: string; rotate?: RotationConfig | undefined }>>;
  to: 'file' | 'stdout' | 'both';
  durability: 'disk' | 'os';
  checkpoint: { records: number; seconds: number };
  keys: SigningKeys;
  head: Head;
  clock: Clock;
  /** What every record says of its writer: `id` and `version`, as in the decision log of OPA. The replica is added. */
  labels: Readonly<Record<string, string>>;
  /** Told how long each write took. */
  onWritten?: (seconds: number) => void;
  /** Something happened to a log. */
  onTold?: (log: LogName, told: Told) => void;
  /** A log cannot be written any more, and why; undefined: it can again. */
  onFailing?: (log: LogName, code: string | undefined) => void;
  /** Something about the files that endangers no record. */
  onProblem?: (log: LogName, problem: string) => void;
  /** A checkpoint is on the disk. */
  onCheckpoint?: (line: string) => void;
}

/** Opens the log. Throws an OperatorError when a file cannot be opened. */
export function createAuditLog({ labels, onWritten = () => {}, ...options }: AuditOptions): AuditLog {
  const tail = { labels: '', writer: '' };
  let writer: Partial<Writer> = {};
  identify({});
  let closed = false;
  const stdout = createStdout();
  const now = () => options.clock.now();
  const timestamp = () => new Date(now()).toISOString();

  function identify(more: Partial<Writer>): void {
    writer = { ...writer, ...more };
    const { policy, configuration } = writer;
    tail.labels = `"labels":${JSON.stringify({ ...labels, replica: options.head.replica, ...(configuration !== undefined && { configuration }) })}`;
    tail.writer = policy
      ? `"bundles":${JSON.stringify({ sallyport: { revision: policy.revision } })},"wasm_sha256":${JSON.stringify(policy.wasmSha256)},${tail.labels}`
      : tail.labels;
  }

  const eventLine = (event: string, fields: Omit<EventRecord, 'type' | 'event' | 'timestamp'>): string =>
    recordLine('info', { type: 'event', event, timestamp: timestamp(), ...fields }, tail.writer);

  function open(log: LogName): Batches {
    const { onTold, onFailing, onProblem, onCheckpoint } = options;
    const appender = openWriter({
      ...{ ...options, ...options.files[log], log, stdout, now, every: options.checkpoint },
      rotation: createRotation(options.files[log].rotate ?? {}, now),
      record: (cause, { id: key }) =>
        recordLine('info', { type: 'checkpoint', timestamp: timestamp(), log, cause, key }, tail.labels),
      event: ({ event, fields }) => eventLine(event, { log, ...fields }),
      onTold: (told) => onTold?.(log, told),
      onFailing: (code) => onFailing?.(log, code),
      onProblem: (problem) => onProblem?.(log, problem),
      onCheckpoint: (line) => onCheckpoint?.(line),
    });
    return createBatches(timed(appender, onWritten), (failingMs) =>
      eventLine('log_restored', { log, failing_seconds: Math.round(failingMs / 1000) }),
    );
  }

  const decisions = open('decisions');
  const events = openOr(() => open('events'), decisions);

  const write = (to: Batches, level: Level, record: AuditRecord, urgent: boolean, rest: string): Promise<void> =>
    closed
      ? Promise.reject(new Error('the decision log is closed'))
      : to.write(recordLine(level, record, rest), urgent);
  const failure = () => decisions.failure ?? events.failure;

  return {
    // What happens with a decision goes to the other file, so one that cannot be written refuses it, too.
    decided: (record, { input, result }) =>
      events.failure
        ? Promise.reject(events.failure)
        : write(
            decisions,
            'info',
            record,
            true,
            `${tail.labels},"input":${jsonTextOf(input)},"result":${jsonTextOf(result)}`,
          ),
    finished: (record) => write(decisions, 'info', record, false, tail.labels).catch(() => {}),
    alert: (record) => write(events, 'warn', record, true, record.bundles ? tail.labels : tail.writer),
    event: (record) => write(events, 'info', record, false, tail.writer).catch(() => {}),
    identify,
    get failure() {
      const code = (failure() as NodeJS.ErrnoException | undefined)?.code;
      return failure() && `the decision log cannot be written${code === undefined ? '' : ` (${code})`}`;
    },
    get backlog() {
      return decisions.waiting + events.waiting;
    },
    async flushed() {
      await Promise.all([decisions.flushed(), events.flushed()]);
    },
    async close() {
      closed = true;
      await Promise.all([decisions.close(), events.close()]);
    },
  };
}

/** Opens the second of two; where that fails the first is closed again. */
function openOr(open: () => Batches, first: Batches): Batches {
  try {
    return open();
  } catch (thrown) {
    void first.close();
    throw thrown;
  }
}

/** Tells how long each append takes. */
const timed = (appender: Appender, onWritten: (seconds: number) => void): Appender => ({
  async append(lines) {
    const began = performance.now();
    await appender.append(lines);
    onWritten((performance.now() - began) / 1000);
  },
  due: () => appender.due(),
  lost: () => appender.lost(),
  close: () => appender.close(),
});

type Level = 'info' | 'warn';

/** One record is one line, whatever stands in it (R-62). `rest` are members of it that are text already. */
const recordLine = (level: Level, record: AuditRecord, rest: string): string =>
  escapeUnseen(
    `{"level":"${level}","message":"${record.type}","form":${FORM},${JSON.stringify(record).slice(1, -1)},${rest}}`,
  );
