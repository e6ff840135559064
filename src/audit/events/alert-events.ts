import type { OpsLog } from '../ops.ts';
import { type Act, actFields, type Fields } from './act.ts';
import type { Raising } from './raise.ts';

/** What the delivery of alerts tells, and what is done about them. */
export interface AlertEvents {
  /** A receiver of alerts does not take them, and why; undefined: it takes them again. */
  receiverFailing(receiver: string, problem: string | undefined): void;
  /** Alerts were dropped: more waited than fit (`receiver` is "any" where nobody had decided on them), or it would not have them. */
  alertsDropped(receiver: string, count: number): void;
  /** So many were sent to a receiver on a connection that broke; they are sent again. */
  alertGap(receiver: string, count: number): void;
  /** The file in which alerts wait cannot be written, and why; undefined: it can again. */
  spoolFailing(problem: string | undefined): void;
  /** A receiver that was configured before this start is not any more. */
  receiverRemoved(receiver: string): void;
  /** An operator has an incident, has silenced alerts or ended that, or has sent a test. */
  alertAct(
    what: 'acknowledged' | 'silenced' | 'unsilenced' | 'tested',
    fields: Record<string, string | null>,
    act: Act,
  ): void;
}

export interface AlertEventsOptions {
  write: (event: string, fields: Fields) => Promise<void>;
  raising: Raising;
  ops: OpsLog;
}

export function createAlertEvents({ write, raising, ops }: AlertEventsOptions): AlertEvents {
  const { raise, lasting } = raising;
  return {
    receiverFailing(receiver, problem) {
      void write('alert_receiver', {
        receiver,
        failing: problem !== undefined,
        ...(problem !== undefined && { problem }),
      });
      lasting('alerts.receiver_failing', problem !== undefined, {
        receiver,
        ...(problem !== undefined && { problem }),
      });
      if (problem === undefined) return ops.info('the receiver takes alerts again', { receiver });
      ops.error('a receiver does not take alerts; they wait', { receiver, problem });
    },
    alertsDropped(receiver, count) {
      void write('alerts_dropped', { receiver, count });
      ops.error('alerts were dropped: more wait than fit, or the receiver will not have them', { receiver, count });
      raise('alerts.dropped', {}, { receiver, count });
    },
    alertGap(receiver, count) {
      void write('alert_gap', { receiver, count });
      raise('alerts.gap', {}, { receiver, count });
    },
    spoolFailing(problem) {
      lasting('alerts.spool_failing', problem !== undefined, { ...(problem !== undefined && { problem }) });
      if (problem === undefined) return ops.info('alerts are kept on disk again');
      ops.error('alerts cannot be kept on disk; those that wait would be lost with this process', { problem });
    },
    receiverRemoved(receiver) {
      void write('alert_receiver', { receiver, removed: true });
      ops.warn('a receiver of alerts is not configured any more', { receiver });
      raise('alerts.receiver_removed', {}, { receiver });
    },
    alertAct(what, fields, act) {
      void write(`alert_${what}`, { ...fields, ...actFields(act) });
      if (what === 'silenced') raise('alerts.silenced', {}, { operator: act.operator, ...texts(fields) });
    },
  };
}

const texts = (fields: Record<string, string | null>): Record<string, string> =>
  Object.fromEntries(Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
