// The decision log and what is written to it besides calls, from the configuration.
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/load.ts';
import type { Clock } from '../core/clock.ts';
import type { Reloadable } from '../core/files/reloadable.ts';
import { VERSION } from '../core/paths.ts';
import { createDelivery } from './chain/deliver.ts';
import { openHead } from './chain/head.ts';
import { openSigningKeys } from './chain/keys.ts';
import { type AuditEvents, createAuditEvents } from './events/events.ts';
import type { AlertSink } from './events/raise.ts';
import { type AuditLog, createAuditLog } from './log/log.ts';
import { createMasks, type Masks } from './masks.ts';
import type { OpsLog } from './ops.ts';
import { openPseudonyms } from './pseudonyms.ts';

export interface Audit {
  readonly log: AuditLog;
  readonly events: AuditEvents;
  readonly masks: Masks;
  /** The process before this one did not close its logs. */
  readonly unclean: boolean;
  readonly reloadable: readonly Reloadable[];
  close(): Promise<void>;
}

export interface OpenAuditOptions {
  config: Pick<Config, 'audit' | 'state_dir'>;
  clock: Clock;
  ops: OpsLog;
  /** Names the configuration in each record. */
  configuration: string;
  /** Wraps the log, so that metrics count what it is given. */
  counting: (log: AuditLog) => AuditLog;
  /** Told how long each write took. */
  written: (seconds: number) => void;
  /** Who delivers alerts. */
  alerts: AlertSink;
  /** Told what a log says of itself. */
  told: (event: string) => void;
}

/** The file in the state folder that says where the logs ended. */
export const HEAD = 'audit-head.json';

/** Throws an OperatorError when a file cannot be opened. */
export function openAudit({ config, clock, ops, configuration, alerts, ...metrics }: OpenAuditOptions): Audit {
  const { audit } = config;
  const { file, rotate, events: ofEvents, checkpoints } = audit;
  const problem = (text: string) => ops.error('a file of the decision log', { problem: text });
  const keys = openSigningKeys({ file: audit.keys_file, clock, onProblem: problem });
  const head = openHead(join(config.state_dir, HEAD));
  const last = head.of('events');
  const unclean = last !== undefined && last.cause !== 'closed';
  const delivery = createDelivery({ ...checkpoints, onProblem: (text) => events.checkpointsReach(text) });
  const { pseudonyms: wanted } = audit;
  const masks = createMasks(wanted.for, openPseudonyms({ ...wanted, clock, onProblem: problem }));
  const log = metrics.counting(
    createAuditLog({
      ...{ ...audit, keys, head, clock, checkpoint: checkpoints, onWritten: metrics.written },
      files: { decisions: { file, rotate }, events: { file: ofEvents.file, rotate: ofEvents.rotate ?? rotate } },
      labels: { id: hostname(), version: VERSION },
      // What is told while the logs are being opened comes before there is anything to tell it with.
      onTold: (name, told) =>
        setImmediate(() => {
          metrics.told(told.event);
          events.logTold(name, told);
        }),
      onFailing: (name, code) => events.logFailing(name, code),
      onProblem: (name, text) => problem(`${name}: ${text}`),
      onCheckpoint: delivery.deliver,
    }),
  );
  log.identify({ configuration });
  const events = createAuditEvents(log, clock, ops, masks, alerts);
  return {
    log,
    events,
    masks,
    unclean,
    reloadable: [keys.reloadable],
    async close() {
      await log.close();
      await delivery.close();
      keys.close();
    },
  };
}
